use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderValue;
use bytes::Bytes;
use event::{EventBatchBuilder, RejectCode, TimestampMs};

use crate::answer::answer_body;
use crate::buffers::Buffers;
use crate::credentials::authenticate;
use crate::daily_salt::Visitor;
use crate::enrich::Agent;
use crate::gateway::{Gateway, Purpose};
use crate::in_flight::Held;
use crate::inflate::{Encoding, InflateFault};
use crate::keys::AppAccess;
use crate::parser::{Bounds, Clock, DailyId, Derived, Envelope, read_batch};
use crate::refusal::Refusal;

/// A request whose body is here.
pub(crate) struct Arrived {
    pub(crate) received_at_ms: TimestampMs,
    pub(crate) body: Bytes,
    pub(crate) encoding: Option<Encoding>,
    /// `None` when the key, if there is one, is in the body.
    pub(crate) access: Option<AppAccess>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) agent: Option<Arc<Agent>>,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) purpose: Purpose,
    /// The events were enriched when they were first received, and nothing is to be added.
    pub(crate) is_enriched: bool,
}

/// A request that is ready for the log.
pub(crate) struct Prepared {
    /// `None` when there is nothing to keep.
    pub(crate) record: Option<Bytes>,
    /// The answer, once the record is durable.
    pub(crate) body: Bytes,
    pub(crate) accepted: usize,
    pub(crate) rejected: Vec<RejectCode>,
    pub(crate) future_events: usize,
}

impl Arrived {
    /// Does all the work between the body and the log. `None` when the body inflates to more than `max_bytes`.
    pub(crate) fn prepare(&self, gateway: &Gateway, max_bytes: usize, held: &mut Held) -> Result<Option<Prepared>, Refusal> {
        gateway.buffers.with(|buffers| {
            let Buffers { batch, scratch, inflated } = buffers;
            let body = match self.encoding {
                None => &self.body[..],
                Some(encoding) => match encoding.inflate(&self.body, max_bytes, inflated) {
                    Ok(()) => {
                        held.grow(inflated.len())?;
                        &inflated[..]
                    }
                    Err(InflateFault::TooLarge { .. }) if max_bytes < gateway.options.max_body_bytes => return Ok(None),
                    Err(fault) => return Err(fault.into()),
                },
            };
            let properties = self.derived(gateway);
            let mut parse = |access: Option<&AppAccess>, daily_id: DailyId<'_>| {
                let clock = Clock { received_at_ms: self.received_at_ms, sent_at_ms: None, oldest_ms: self.oldest_ms(access) };
                let max_events = gateway.options.max_batch_events;
                let bounds = if self.is_enriched { Bounds::of_enriched(max_events) } else { Bounds::new(max_events) };
                let derived = Derived { properties: &properties, daily_id };
                read_batch(body, clock, &derived, bounds, batch, scratch)
            };
            let no_id = if self.is_enriched { DailyId::Unknowable } else { DailyId::Pending };
            let mut envelope = parse(self.access.as_ref(), no_id)?;
            let access = self.access_by(&envelope, gateway)?;
            let daily_id = (envelope.cookieless_events > 0).then(|| self.daily_id(&access, gateway));
            // The key may be in the body, so the app, with its retention and the ids of the day, is known only when the events were read.
            if daily_id.is_some() || envelope.earliest_ms < self.oldest_ms(Some(&access)) {
                envelope = parse(Some(&access), daily_id.as_deref().map_or(no_id, DailyId::Known))?;
            }
            gateway.metrics.parsed_bytes.inc_by(body.len() as u64);
            if envelope.sent_at_was_ignored || envelope.uncorrected_events > 0 {
                gateway.metrics.ignored_sent_at.inc();
            }
            self.charge(&access, &envelope, gateway)?;
            Ok(Some(self.prepared(batch, &access, &envelope, body.len())))
        })
    }

    fn oldest_ms(&self, access: Option<&AppAccess>) -> TimestampMs {
        let retention_ms = access.and_then(|access| access.raw_retention_ms);
        retention_ms.map_or(TimestampMs::MIN, |retention_ms| self.received_at_ms.saturating_sub(retention_ms))
    }

    /// Who the sender is today, for events that say `cookieless`.
    fn daily_id(&self, access: &AppAccess, gateway: &Gateway) -> String {
        let user_agent = self.user_agent.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        gateway.daily_salt.id(self.received_at_ms, &Visitor { app: &access.app, address: self.address, user_agent })
    }

    /// What the gateway knows of the sender. The address ends here, or as part of a hash in `daily_id`.
    fn derived<'a>(&'a self, gateway: &'a Gateway) -> Vec<(&'static str, &'a str)> {
        if self.is_enriched {
            return Vec::new();
        }
        let place = match (&gateway.geo, self.address) {
            (Some(geo), Some(address)) => geo.place(address),
            _ => Default::default(),
        };
        let agent = self.agent.as_deref();
        let all = [
            ("country", place.country),
            ("region", place.region),
            ("city", place.city),
            ("browser", agent.and_then(|agent| agent.browser.as_deref())),
            ("os", agent.and_then(|agent| agent.os.as_deref())),
            ("device_type", agent.and_then(|agent| agent.device_type)),
            ("$lib", agent.and_then(|agent| agent.lib.as_deref())),
        ];
        let mut known = Vec::with_capacity(all.len());
        known.extend(all.into_iter().filter_map(|(key, value)| Some((key, value?))));
        known
    }

    /// The app that the key, wherever it was, opens.
    fn access_by(&self, envelope: &Envelope, gateway: &Gateway) -> Result<AppAccess, Refusal> {
        let access = match (&self.access, &envelope.write_key) {
            (Some(access), _) => access.clone(),
            (None, Some(key)) => authenticate(&gateway.keys, key)?,
            (None, None) => return Err(Refusal::MissingKey),
        };
        match &envelope.app_id {
            Some(app_id) if app_id != access.app.as_str() => Err(Refusal::OtherApp),
            _ => Ok(access),
        }
    }

    fn charge(&self, access: &AppAccess, envelope: &Envelope, gateway: &Gateway) -> Result<(), Refusal> {
        let Some(quota) = gateway.quota.as_ref().filter(|_| self.purpose == Purpose::Ingest) else { return Ok(()) };
        quota.take(&access.app, envelope.event_count, Instant::now()).map_err(|retry_after_seconds| {
            gateway.metrics.refused.inc_by(envelope.event_count as u64);
            Refusal::OverQuota { retry_after_seconds }
        })
    }

    fn prepared(&self, batch: &EventBatchBuilder, access: &AppAccess, envelope: &Envelope, body_bytes: usize) -> Prepared {
        let record = (self.purpose == Purpose::Ingest && envelope.event_count > 0).then(|| {
            let mut record = Vec::with_capacity(body_bytes);
            batch.encode(&access.app, &mut record);
            Bytes::from(record)
        });
        Prepared {
            record,
            body: answer_body(batch.len(), batch.rejected(), envelope),
            accepted: batch.len(),
            rejected: batch.rejected().iter().map(|event| event.reject.code).collect(),
            future_events: envelope.future_events,
        }
    }
}
