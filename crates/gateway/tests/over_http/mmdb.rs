//! Files in MaxMind's format that know one network, 1.2.3.0/24; the format is at <https://maxmind.github.io/MaxMind-DB/>.

/// A record as MaxMind and DB-IP write it.
pub fn nested_record() -> Vec<u8> {
    let named = |name: &str| map(&[("names", map(&[("en", text(name))]))]);
    map(&[("country", map(&[("iso_code", text("SE"))])), ("subdivisions", array(&[named("Skåne")])), ("city", named("Lund"))])
}

/// A record as `ip-location-db` writes it.
pub fn flat_record() -> Vec<u8> {
    map(&[("country_code", text("SE")), ("state1", text("Skåne")), ("city", text("Lund"))])
}

/// The file.
pub fn file(record: Vec<u8>) -> Vec<u8> {
    let (network, depth) = (u32::from_be_bytes([1, 2, 3, 0]), 24u32);
    let mut file = Vec::new();
    for bit in 0..depth {
        let next = if bit + 1 == depth { depth + 16 } else { bit + 1 };
        let goes_right = network >> (31 - bit) & 1 == 1;
        let branches = if goes_right { [depth, next] } else { [next, depth] };
        branches.iter().for_each(|branch| file.extend_from_slice(&branch.to_be_bytes()[1..]));
    }
    file.extend_from_slice(&[0; 16]);
    file.extend(record);
    let uint16 = |n: u8| vec![0xa1, n];
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    file.extend(map(&[
        ("node_count", vec![0xc1, depth as u8]),
        ("record_size", uint16(24)),
        ("ip_version", uint16(4)),
        ("database_type", text("Test-City")),
        ("languages", array(&[text("en")])),
        ("binary_format_major_version", uint16(2)),
        ("binary_format_minor_version", uint16(0)),
        ("build_epoch", vec![0x01, 0x02, 1]),
        ("description", map(&[("en", text("one network"))])),
    ]));
    file
}

fn text(text: &str) -> Vec<u8> {
    [&[0x40 | text.len() as u8], text.as_bytes()].concat()
}

fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xe0 | pairs.len() as u8];
    pairs.iter().for_each(|(key, value)| bytes.extend([text(key), value.clone()].concat()));
    bytes
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [vec![items.len() as u8, 4], items.concat()].concat()
}
