//! Tells the web module where the built app lies: `web/dist`, or a page that says how to build it, so that the crate compiles without Node.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Throng</title>
<h1>The web app was not built</h1>
<p>This program was compiled without its web app. Run <code>make build</code> in the checkout, which needs Node.js 20 or newer,
and start it again. The API works without it: see <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p>
</html>
";

fn main() -> io::Result<()> {
    // Asked when the script runs: a path compiled in would be that of another checkout with the same target folder.
    let here = env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| io::Error::other("cargo sets CARGO_MANIFEST_DIR for build scripts"))?;
    let built = Path::new(&here).join("../../web/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    println!("cargo::rerun-if-changed=build.rs");
    let folder = if built.join("index.html").is_file() { built } else { placeholder()? };
    println!("cargo::rustc-env=THRONG_WEB_DIST={}", folder.display());
    Ok(())
}

/// Written beside the other build products, never into the checkout, where it would pass for the real app.
fn placeholder() -> io::Result<PathBuf> {
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR for build scripts"))?;
    let folder = PathBuf::from(out).join("web");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("index.html"), PLACEHOLDER)?;
    Ok(folder)
}
