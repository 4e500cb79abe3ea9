//! Unpacks the databases of `geoip/` into the build folder, from where they go into the binary as they are: the program
//! then looks addresses up in its own pages, and a start unpacks nothing.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

const DATABASES: [&str; 2] = ["dbip-country-lite.mmdb", "asn.mmdb"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: this is a build script")?;
    for name in DATABASES {
        let packed = format!("geoip/{name}.zst");
        println!("cargo::rerun-if-changed={packed}");
        let bytes = zstd::decode_all(File::open(&packed)?)?;
        fs::write(Path::new(&out).join(name), bytes)?;
    }
    Ok(())
}
