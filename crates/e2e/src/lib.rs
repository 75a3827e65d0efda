//! Takes the built `throng` program.
//! Gives a running server to tests and benchmarks: started on a free port and a temporary folder, killed, restarted, asked and measured.
//! Knows nothing of what is inside: it speaks the public API and the command line only.

pub mod cases;
mod client;
pub mod load;
mod process;

pub use client::{App, Client};
pub use process::{Throng, cpu_seconds_of, data_sets};
