//! Metrics for Prometheus (OpenMetrics text). Comes in: a snapshot. Goes out: text. Names and units follow
//! <https://prometheus.io/docs/practices/naming/>. No address, network or host is a label: strangers would decide how
//! many series there are.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::status::Snapshot;
use crate::alert::Holding;

/// What metrics are told from.
#[derive(Debug)]
struct Figures {
    snapshot: Arc<Snapshot>,
    conditions: Vec<Holding>,
    alive: bool,
}

/// The content type of what [`render`] writes.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics as text.
pub(super) fn render(snapshot: Arc<Snapshot>, conditions: Vec<Holding>, alive: bool) -> String {
    let mut registry = Registry::with_prefix("bongsu");
    registry.register_collector(Box::new(Figures { snapshot, conditions, alive }));
    let mut out = String::new();
    // Writing into a text cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut page = Page(encoder);
        self.capture(&mut page)?;
        self.flows(&mut page)?;
        self.alerts(&mut page)?;
        self.outputs(&mut page)?;
        self.sensor(&mut page)
    }
}

impl Figures {
    fn capture(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let (packets, capture) = (&self.snapshot.stats.packets, &self.snapshot.stats.capture);
        page.counter("capture_packets", "Packets read", packets.read)?;
        page.counter("capture_bytes", "Bytes of the packets read, on the wire", self.snapshot.stats.bytes)?;
        page.counter("capture_kernel_drops", "Packets the kernel dropped", packets.dropped_kernel)?;
        page.counter("capture_interface_drops", "Packets the interface dropped", packets.dropped_interface)?;
        page.counter("decode_packets", "Packets that went on to the flows", packets.decoded)?;
        let skipped = packets.skipped.0.iter().map(|(reason, count)| (*reason, *count));
        page.counters("decode_skipped", "Packets left out, by reason", "reason", skipped)?;
        page.counter("capture_reordered", "Packets put right in order", capture.reordered)?;
        page.counter("capture_late", "Packets that came after their second was closed", capture.late)?;
        page.counter("capture_clock_steps", "Times that the clock stepped back", capture.clock_steps)?;
        page.gauge("capture_loss_ratio", "The part of the packets that was lost", capture.quality.loss)?;
        let last = capture.last.map_or(0.0, |last| last.nanos() as f64 / 1e9);
        page.gauge("capture_last_packet_timestamp_seconds", "Capture time of the last packet", last)?;
        let up = self.snapshot.interfaces.iter().map(|(name, up)| (name.as_str(), f64::from(u8::from(*up))));
        page.gauges("interface_up", "Whether packets of an interface can come", "interface", up)
    }

    fn flows(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let flows = self.snapshot.stats.flows.0.iter().map(|(what, count)| (*what, *count));
        page.counters("flow_events", "What moved through the flow tables", "event", flows)
    }

    fn alerts(&self, page: &mut Page<'_>) -> Result<(), Error> {
        page.gauge("incidents_open", "Incidents that are open", self.snapshot.open_incidents as f64)?;
        let alerts = self.snapshot.alerts.iter();
        page.described("alerts", "Alert records", MetricType::Counter, |page| {
            alerts.clone().try_for_each(|((rule, severity), count)| {
                page.labelled(&[("rule", rule.as_str()), ("severity", severity.word())], *count)
            })
        })
    }

    fn outputs(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let outputs = &self.snapshot.outputs;
        let of = |figure: fn(&crate::alert::Output) -> u64| {
            outputs.iter().map(move |output| (output.name.as_str(), figure(output)))
        };
        page.counters("sink_delivered", "Records that reached an output", "sink", of(|o| o.delivered))?;
        page.counters("sink_lost", "Records that an output will never have", "sink", of(|o| o.lost))?;
        let waiting = of(|o| o.waiting).map(|(name, count)| (name, count as f64));
        page.gauges("sink_waiting", "Records that wait for an output", "sink", waiting)?;
        let up = of(|o| u64::from(o.ok)).map(|(name, up)| (name, up as f64));
        page.gauges("sink_up", "Whether records reach an output", "sink", up)
    }

    fn sensor(&self, page: &mut Page<'_>) -> Result<(), Error> {
        let Snapshot { rules, reloads, databases, shedding, unacknowledged, .. } = &*self.snapshot;
        page.gauge("rules", "Rules in use", *rules as f64)?;
        page.counter("reloads", "Times that rules and configuration were read anew", reloads.0)?;
        page.counter("reload_failures", "Times that what was read anew could not be used", reloads.1)?;
        let built = databases.iter().map(|(name, built)| (name.as_str(), *built as f64));
        page.gauges("geoip_build_timestamp_seconds", "When a database was built", "database", built)?;
        page.gauge("shedding_step", "How much work is left out", *shedding as f64)?;
        let waiting = "Severe alerts that nobody has acknowledged";
        page.gauge("unacknowledged_alerts", waiting, *unacknowledged as f64)?;
        page.gauge("alive", "Whether all threads move", f64::from(u8::from(self.alive)))?;
        page.described("condition", "Conditions that hold", MetricType::Gauge, |page| {
            self.conditions.iter().try_for_each(|holding| {
                let labels = [("condition", holding.condition), ("subject", holding.subject.as_str())];
                page.labelled_gauge(&labels, 1.0)
            })
        })?;
        page.described("build_info", "The version", MetricType::Gauge, |page| {
            page.labelled_gauge(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)
        })
    }
}

/// The page under way.
struct Page<'a>(DescriptorEncoder<'a>);

/// One metric under way.
struct Metric<'a>(prometheus_client::encoding::MetricEncoder<'a>);

impl Page<'_> {
    fn described(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        write: impl FnOnce(&mut Metric<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let encoder = self.0.encode_descriptor(name, help, None, kind)?;
        write(&mut Metric(encoder))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let counter = ConstCounter::new(value);
        let encoder = self.0.encode_descriptor(name, help, None, counter.metric_type())?;
        counter.encode(encoder)
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let gauge = ConstGauge::new(value);
        let encoder = self.0.encode_descriptor(name, help, None, gauge.metric_type())?;
        gauge.encode(encoder)
    }

    fn counters<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        mut values: impl Iterator<Item = (&'v str, u64)>,
    ) -> Result<(), Error> {
        self.described(name, help, MetricType::Counter, |metric| {
            values.try_for_each(|(value, count)| metric.labelled(&[(label, value)], count))
        })
    }

    fn gauges<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        mut values: impl Iterator<Item = (&'v str, f64)>,
    ) -> Result<(), Error> {
        self.described(name, help, MetricType::Gauge, |metric| {
            values.try_for_each(|(value, figure)| metric.labelled_gauge(&[(label, value)], figure))
        })
    }
}

impl Metric<'_> {
    fn labelled(&mut self, labels: &[(&str, &str)], count: u64) -> Result<(), Error> {
        ConstCounter::new(count).encode(self.0.encode_family(&labels)?)
    }

    fn labelled_gauge(&mut self, labels: &[(&str, &str)], value: f64) -> Result<(), Error> {
        ConstGauge::new(value).encode(self.0.encode_family(&labels)?)
    }
}
