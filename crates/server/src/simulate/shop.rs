//! A believable shop: who visits it, what they do in a session, and how a day and a week breathe.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::random::Random;

const COUNTRIES: [(&str, f64); 20] = [
    ("US", 24.0),
    ("IN", 11.0),
    ("DE", 9.0),
    ("BR", 8.0),
    ("GB", 8.0),
    ("FR", 6.0),
    ("JP", 5.0),
    ("ES", 4.0),
    ("IT", 4.0),
    ("CA", 4.0),
    ("NL", 3.0),
    ("MX", 3.0),
    ("AU", 2.5),
    ("PL", 2.0),
    ("SE", 1.5),
    ("KR", 1.5),
    ("CH", 1.0),
    ("AR", 1.0),
    ("ZA", 1.0),
    ("NZ", 0.5),
];
const DEVICES: [(&str, f64); 3] = [("mobile", 58.0), ("desktop", 36.0), ("tablet", 6.0)];
const BROWSERS: [(&str, f64); 6] =
    [("Chrome", 62.0), ("Safari", 20.0), ("Edge", 7.0), ("Firefox", 6.0), ("Samsung Internet", 3.0), ("Opera", 2.0)];
const PLANS: [(&str, f64); 3] = [("free", 80.0), ("pro", 16.0), ("team", 4.0)];
const WORDS: [&str; 24] = [
    "red", "blue", "warm", "light", "running", "winter", "summer", "leather", "cotton", "small", "large", "kids", "shoes", "jacket", "bag",
    "watch", "lamp", "chair", "desk", "mug", "tent", "bike", "phone", "case",
];
const REFERRERS: [&str; 5] =
    ["https://www.google.com/", "https://www.bing.com/", "https://news.example.org/", "https://t.example.com/", ""];

/// Pages of the shop.
pub(super) const URLS: u64 = 5_000;
const URL_SKEW: f64 = 0.8;
const USER_SKEW: f64 = 0.5;
/// Request numbers an event may refer to: high cardinality, as an order or request number has it.
const REFERENCES: u64 = 4_000_000;

/// Share of a day's sessions by hour, UTC: quiet at night, busiest in the evening.
const HOUR_WEIGHTS: [f64; 24] =
    [2.0, 1.5, 1.2, 1.0, 1.0, 1.2, 1.8, 2.6, 3.6, 4.4, 5.0, 5.2, 5.4, 5.4, 5.2, 5.2, 5.4, 5.8, 6.4, 6.8, 6.6, 5.8, 4.4, 3.1];
/// Monday to Sunday.
const DAY_WEIGHTS: [f64; 7] = [1.0, 1.0, 1.02, 1.0, 1.05, 0.9, 0.85];

/// How busy an hour is beside an average one.
pub(super) fn rhythm(hour_start_ms: i64) -> f64 {
    let hours = hour_start_ms.div_euclid(3_600_000);
    let hour = HOUR_WEIGHTS[hours.rem_euclid(24) as usize] * 24.0 / HOUR_WEIGHTS.iter().sum::<f64>();
    // 1970-01-01 was a Thursday.
    hour * DAY_WEIGHTS[(hours.div_euclid(24) + 3).rem_euclid(7) as usize]
}

/// What a visitor may do after a page view, with weights; a purchase follows one of three add_to_carts. Together with the page view each session begins with, the shares of events are those of
/// `docs/benchmarks.md`: page_view 50 %, click 25 %, search 10 %, add_to_cart 6 %, video_play 4 %, purchase 2 %, custom 2 %, signup 1 %.
const ACTIONS: [(&str, f64); 6] =
    [("page_view", 43.0), ("click", 28.9), ("search", 11.6), ("add_to_cart", 6.9), ("video_play", 4.6), ("custom", 2.3)];
const MORE_ACTIONS: f64 = 0.87;
const MAX_ACTIONS: usize = 60;
const SIGNUP_SHARE: f64 = 0.082;
const PURCHASE_SHARE: f64 = 0.333;

/// One event: when, and its JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SimulatedEvent {
    pub(super) time_ms: i64,
    pub(super) json: String,
}

/// Makes sessions; the same seed makes the same ones.
pub(super) struct Shop {
    random: Random,
    users: u64,
    seed: u64,
    /// What sets the ids of this run apart from those of every other.
    run: String,
    /// What each user has done in this run; users who never came are not in it.
    counters: HashMap<u64, Counters>,
    /// Times the pauses between a visitor's actions.
    pace: f64,
}

/// What an SDK counts for its person, to make session and insert ids of it.
#[derive(Default)]
struct Counters {
    sessions: u32,
    events: u32,
}

/// Who acts, in which of their sessions, on which page.
struct Visit {
    user: User,
    session: u32,
    url: u64,
}

/// A user's fixed traits, from the id alone.
struct User {
    id: u64,
    country: &'static str,
    device: &'static str,
    browser: &'static str,
    plan: &'static str,
}

fn pick(random: &mut Random, choices: &[(&'static str, f64)]) -> &'static str {
    let total: f64 = choices.iter().map(|(_, weight)| weight).sum();
    let mut left = random.unit() * total;
    for (value, weight) in choices {
        left -= weight;
        if left < 0.0 {
            return value;
        }
    }
    choices[0].0
}

impl User {
    fn new(id: u64, seed: u64) -> Self {
        let mut random = Random::new(seed ^ id.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let country = pick(&mut random, &COUNTRIES);
        let device = pick(&mut random, &DEVICES);
        let browser = pick(&mut random, &BROWSERS);
        let plan = pick(&mut random, &PLANS);
        Self { id, country, device, browser, plan }
    }
}

impl Shop {
    /// The shop as its history until `until_ms` goes.
    pub(super) fn new(seed: u64, users: u64, until_ms: i64) -> Self {
        Self {
            random: Random::new(seed),
            users: users.max(1),
            seed,
            run: format!("h{seed:x}.{until_ms:x}"),
            counters: HashMap::new(),
            pace: 1.0,
        }
    }

    /// The same shop with the same users, as it goes on from `moment_ms`: what they do and the ids of it are new each time,
    /// so that nothing is taken for an event sent before. A `pace` below 1 makes visitors hurry.
    pub(super) fn from_moment(seed: u64, users: u64, moment_ms: i64, pace: f64) -> Self {
        let stream = Random::new(seed ^ moment_ms.cast_unsigned()).bits();
        Self { random: Random::new(stream), run: format!("l{seed:x}.{moment_ms:x}"), pace, ..Self::new(seed, users, moment_ms) }
    }

    /// Appends the events of one session that begins at `start_ms`, in time order, and returns their number.
    pub(super) fn session(&mut self, start_ms: i64, out: &mut Vec<SimulatedEvent>) -> usize {
        let rank = self.random.skewed(self.users, USER_SKEW);
        // Ids are spread over ranks, so that an id does not tell how active its user is.
        let user = User::new(rank.wrapping_mul(7_368_787) % self.users.max(1), self.seed);
        let counters = self.counters.entry(user.id).or_default();
        counters.sessions += 1;
        let mut visit = Visit { session: counters.sessions, user, url: 0 };
        let before = out.len();
        let mut time_ms = start_ms;
        visit.url = self.random.skewed(URLS, URL_SKEW);
        if self.random.chance(SIGNUP_SHARE) {
            self.push("signup", time_ms, &visit, out);
            time_ms += self.pause_ms();
        }
        self.push("page_view", time_ms, &visit, out);
        for _ in 0..MAX_ACTIONS {
            if !self.random.chance(MORE_ACTIONS) {
                break;
            }
            time_ms += self.pause_ms();
            let action = pick(&mut self.random, &ACTIONS);
            if action == "page_view" {
                visit.url = self.random.skewed(URLS, URL_SKEW);
            }
            self.push(action, time_ms, &visit, out);
            if action == "add_to_cart" && self.random.chance(PURCHASE_SHARE) {
                time_ms += self.pause_ms();
                self.push("purchase", time_ms, &visit, out);
            }
        }
        out.len() - before
    }

    /// Two seconds to a minute and a half between actions, short ones more often; now and then somebody goes for a coffee.
    fn pause_ms(&mut self) -> i64 {
        let pause = 2_000 + self.random.skewed(88_000, 0.6) as i64;
        let pause = if self.random.chance(0.01) { pause + 600_000 } else { pause };
        (pause as f64 * self.pace) as i64
    }

    fn push(&mut self, name: &str, time_ms: i64, visit: &Visit, out: &mut Vec<SimulatedEvent>) {
        let Visit { user, session, url } = visit;
        let mut json = String::with_capacity(340);
        let counters = self.counters.entry(user.id).or_default();
        counters.events += 1;
        let (run, sent) = (&self.run, counters.events);
        let reference = self.random.below(REFERENCES);
        // Writing to a string cannot fail.
        let _ = write!(
            json,
            "{{\"name\":\"{name}\",\"user_id\":\"user-{}\",\"timestamp\":{time_ms},\"insert_id\":\"{run}-{}-{sent}\",\"session_id\":\"{run}-{}.{session}\",\
             \"properties\":{{\"url\":\"/shop/item-{url}\",\"country\":\"{}\",\"device_type\":\"{}\",\"browser\":\"{}\",\"plan\":\"{}\",\"ref_id\":\"{reference:07}\"",
            user.id, user.id, user.id, user.country, user.device, user.browser, user.plan
        );
        let _ = match name {
            "purchase" => {
                let cents = 199 + self.random.skewed(30_000, 0.5);
                write!(json, ",\"price\":{}.{:02},\"currency\":\"EUR\"", cents / 100, cents % 100)
            }
            "search" => write!(json, ",\"term\":\"{}\"", self.term()),
            "page_view" => {
                let referrer = REFERRERS[self.random.below(REFERRERS.len() as u64) as usize];
                write!(json, ",\"referrer\":\"{referrer}\"")
            }
            _ => Ok(()),
        };
        json.push_str("}}");
        out.push(SimulatedEvent { time_ms, json });
    }

    fn term(&mut self) -> String {
        let words = 1 + self.random.below(3);
        let mut word = || WORDS[self.random.below(WORDS.len() as u64) as usize];
        (0..words).map(|_| word()).collect::<Vec<_>>().join(" ")
    }

    /// A start within the hour that begins at `hour_start_ms`.
    pub(super) fn start_within(&mut self, hour_start_ms: i64, length_ms: i64) -> i64 {
        hour_start_ms + self.random.below(length_ms.max(1) as u64) as i64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    const NOW: i64 = 1_780_000_000_000;

    fn events(mut shop: Shop) -> Vec<Value> {
        let mut events = Vec::new();
        for _ in 0..2_000 {
            shop.session(NOW, &mut events);
        }
        events.iter().map(|event| serde_json::from_str(&event.json).unwrap()).collect()
    }

    #[test]
    fn users_keep_their_traits_and_every_run_has_ids_of_its_own() {
        let mut traits: BTreeMap<String, [Value; 4]> = BTreeMap::new();
        let (mut insert_ids, mut sessions) = (BTreeSet::new(), BTreeSet::new());
        let histories = [Shop::new(7, 100, NOW), Shop::new(7, 100, NOW + 1), Shop::new(8, 100, NOW)];
        let live = [Shop::from_moment(7, 100, NOW, 1.0), Shop::from_moment(7, 100, NOW + 1, 0.1)];
        for shop in histories.into_iter().chain(live) {
            let seed = shop.seed;
            let mut of_this = BTreeSet::new();
            for event in events(shop) {
                let text = |name: &str| event[name].as_str().unwrap().to_owned();
                let insert_id = text("insert_id");
                assert!(insert_id.len() <= 64, "{insert_id} is longer than an insert_id may be");
                assert!(insert_ids.insert(insert_id), "an insert_id came twice");
                of_this.insert(text("session_id"));
                let seen = ["country", "device_type", "browser", "plan"].map(|name| event["properties"][name].clone());
                if seed == 7 {
                    assert_eq!(traits.entry(text("user_id")).or_insert_with(|| seen.clone()), &seen);
                }
            }
            assert_eq!(of_this.len(), 2_000, "a session_id came twice");
            assert_eq!(of_this.intersection(&sessions).next(), None);
            sessions.extend(of_this);
        }
        assert!(traits.len() > 90);
    }

    #[test]
    fn a_purchase_follows_an_add_to_cart_of_its_session() {
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for event in events(Shop::new(3, 500, NOW)) {
            let (session, name) = (event["session_id"].to_string(), event["name"].as_str().unwrap().to_owned());
            let before = last.insert(session, name.clone());
            match name.as_str() {
                "purchase" => {
                    assert_eq!(before.as_deref(), Some("add_to_cart"));
                    assert!(event["properties"]["price"].as_f64().unwrap() > 1.0);
                }
                "signup" => assert_eq!(before, None),
                _ => assert!(event["properties"].get("price").is_none()),
            }
        }
    }
}
