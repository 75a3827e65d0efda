use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that only answer questions, at a lower priority than everything else in the process: what takes in events is never
/// behind them in the queue for a core. Threads that a job starts inherit the priority.
pub(crate) struct QueryThreads {
    /// Gone only in `drop`.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl QueryThreads {
    /// `count` threads with this niceness, 0 (as everything else) to 19. Where a thread cannot be started, the others do its work.
    pub fn start(count: usize, niceness: i32) -> Self {
        let (jobs, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let start = |index: usize| {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new().name(format!("query-{index}"));
            let started = thread.spawn(move || {
                lower_priority(niceness);
                work(&receiver);
            });
            started.inspect_err(|error| tracing::error!(%error, "a thread for queries could not be started")).ok()
        };
        Self { jobs: Some(jobs), threads: (0..count).filter_map(start).collect() }
    }

    /// Runs `job` on the next free thread; the caller bounds how many wait. A job that panics is gone without a word to its caller.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        // The receiving end lives as long as a thread does; without any, the job is dropped and its caller sees that.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(Box::new(job)));
    }
}

impl Drop for QueryThreads {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: whoever has it gets the next job.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The panic hook has written the message; the thread goes on with the next job.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// On Linux a priority belongs to a thread; elsewhere it would be the whole process's, so nothing is done there.
fn lower_priority(niceness: i32) {
    #[cfg(target_os = "linux")]
    if niceness > 0
        && let Err(error) = rustix::process::setpriority_process(None, niceness)
    {
        tracing::warn!(%error, niceness, "queries run at normal priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn jobs_run_beside_each_other_and_a_panic_ends_only_its_own() {
        let threads = QueryThreads::start(2, 0);
        let (sender, receiver) = sync_channel(0);
        threads.run(|| panic!("a defect"));
        for i in 0..2 {
            let sender = sender.clone();
            threads.run(move || sender.send(i).unwrap());
        }
        // Both are waiting in their rendezvous at once.
        let mut seen = [receiver.recv().unwrap(), receiver.recv().unwrap()];
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_and_their_children_are_nice() {
        let threads = QueryThreads::start(1, 7);
        let (sender, receiver) = sync_channel(1);
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        threads.run(move || {
            let own = niceness();
            let child = std::thread::spawn(niceness).join().unwrap();
            sender.send((own, child)).unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), (7, 7));
        assert_eq!(niceness(), before);
    }
}
