//! The batches that both examples send.

pub const EVENTS_PER_BATCH: usize = 20;
pub const RECEIVED_AT_MS: i64 = 1_780_000_000_000;

/// A batch of a shop's events as an SDK sends it, different for each seed.
pub fn body(seed: usize) -> Vec<u8> {
    let mut random = seed as u64 * 2 + 1;
    let mut next = move |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    let mut events = Vec::new();
    for i in 0..EVENTS_PER_BATCH {
        let name = ["page_view", "page_view", "click", "search", "add_to_cart", "purchase"][next(6) as usize];
        let price = if name == "purchase" { format!(",\"price\":{}.{:02}", next(500), next(100)) } else { String::new() };
        events.push(format!(
            "{{\"name\":\"{name}\",\"user_id\":\"user-{:06}\",\"timestamp\":{},\"insert_id\":\"{:016x}{:04x}\",\"session_id\":\"s-{:08x}\",\
             \"properties\":{{\"url\":\"/products/item-{}\",\"country\":\"{}\",\"device\":\"{}\",\"browser\":\"{}\",\"plan\":\"{}\",\
             \"request\":\"{:08x}{:08x}\"{price}}}}}",
            next(500_000),
            RECEIVED_AT_MS as u64 - 20_000 + i as u64 * 731,
            next(u64::MAX),
            next(65536),
            next(1 << 32),
            next(5000),
            ["US", "DE", "FR", "JP", "BR"][next(5) as usize],
            ["mobile", "desktop", "tablet"][next(3) as usize],
            ["Chrome", "Safari", "Firefox"][next(3) as usize],
            ["free", "pro", "team"][next(3) as usize],
            next(1 << 32),
            next(1 << 32),
        ));
    }
    format!("{{\"app_id\":\"APP-1\",\"sent_at\":{RECEIVED_AT_MS},\"events\":[{}]}}", events.join(",")).into_bytes()
}
