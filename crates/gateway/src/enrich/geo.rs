use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader, path};
use thiserror::Error;

/// Places of addresses, from a file in MaxMind's format.
///
/// Reads both the nested records of MaxMind and DB-IP and the flat ones of `ip-location-db`. The file is held in memory.
pub struct GeoIp {
    reader: Reader<Vec<u8>>,
}

/// The file cannot be used.
#[derive(Debug, Error)]
#[error("the geo-IP file {path} cannot be read: {reason}")]
pub struct GeoError {
    path: String,
    reason: String,
}

/// Where an address is, as far as the file tells.
#[derive(Debug, PartialEq, Eq, Default, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// ISO 3166-1 alpha-2, such as `US`.
    pub(crate) country: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) city: Option<&'a str>,
}

impl GeoIp {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`GeoError`] when it cannot be read or is not in MaxMind's format.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        let reader = Reader::open_readfile(path);
        reader.map(|reader| Self { reader }).map_err(|reason| GeoError { path: path.display().to_string(), reason: reason.to_string() })
    }

    /// Where the address is; nothing for one that the file does not know or whose record is damaged.
    pub(crate) fn place(&self, address: IpAddr) -> Place<'_> {
        let Ok(found) = self.reader.lookup(address) else { return Place::default() };
        if !found.has_data() {
            return Place::default();
        }
        let text = |path: &[PathElement<'_>]| found.decode_path::<&str>(path).ok().flatten();
        Place {
            country: text(&path!["country", "iso_code"]).or_else(|| text(&path!["country_code"])),
            region: text(&path!["subdivisions", 0, "names", "en"])
                .or_else(|| text(&path!["subdivisions", 0, "iso_code"]))
                .or_else(|| text(&path!["state1"])),
            city: text(&path!["city", "names", "en"]).or_else(|| text(&path!["city"])),
        }
    }
}
