//! Starting what measures: the load generator of `crates/e2e`, and the comparison with other column stores in `bench/`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Builds the program and the load generator, then lets the generator measure; `peers` goes to the comparison instead.
pub fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    finish(Command::new(env!("CARGO")).current_dir(root).args(["build", "--release", "--workspace", "--bins"]))?;
    match arguments {
        ["peers", rest @ ..] => peers(root, rest),
        _ => finish(Command::new(built("bench")?).args(arguments)),
    }
}

/// Installs the pinned peers beside the build, proves that the judge of the answers sees wrong ones, and lets it compare.
fn peers(root: &Path, arguments: &[&str]) -> Result<()> {
    let folder = root.join("bench");
    let python = environment(&folder)?;
    let python = || {
        let mut command = Command::new(&python);
        command.current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1").arg("-m");
        command
    };
    finish(python().args(["unittest", "discover", "--quiet", "--start-directory", "tests", "--top-level-directory", "."]))?;
    finish(python().args(["side_by_side".as_ref(), "--program".as_ref(), built("throng")?.as_os_str()]).args(absolute(arguments)?))
}

/// A virtual environment with exactly the packages of `requirements.txt`; gives its Python. Made once for each content of that file.
fn environment(folder: &Path) -> Result<PathBuf> {
    let requirements = folder.join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    let place = built("peers-environment")?;
    let (python, installed) = (place.join("bin/python"), place.join("installed.txt"));
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    finish(Command::new("python3").args(["-m".as_ref(), "venv".as_ref(), "--clear".as_ref(), place.as_os_str()]))?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"].map(OsStr::new);
    finish(Command::new(&python).args(quiet).arg(&requirements))?;
    fs::write(&installed, wanted)?;
    Ok(python)
}

/// The comparison runs in its own folder: a folder named after `--data` is meant from here.
fn absolute(arguments: &[&str]) -> Result<Vec<PathBuf>> {
    let here = std::env::current_dir()?;
    let mut after_data = false;
    let mut out = Vec::new();
    for argument in arguments {
        out.push(if after_data { here.join(argument) } else { PathBuf::from(argument) });
        after_data = *argument == "--data";
    }
    Ok(out)
}

/// A file beside this program, in the target folder.
fn built(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
