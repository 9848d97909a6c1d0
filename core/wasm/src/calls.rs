//! What is counted of plugins' calls, whoever asked and whatever came of the answer. Names and meanings: `docs/metrics.md`.

use std::sync::Arc;
use std::time::Duration;

use lanyard_policy::{HookFailure, HookPoint};
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use prometheus_client::registry::{Registry, Unit};

/// Names and values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The counters that all hosts of a server share. Cheap to clone.
#[derive(Clone)]
pub struct Calls(Arc<Counted>);

struct Counted {
    calls: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Histogram, fn() -> Histogram>,
    fuel: Family<Labels<1>, Counter>,
}

/// What a call that answered is counted as; one that did not by [`HookFailure::code`].
const ANSWERED: &str = "answered";

impl Calls {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "plugin_calls",
            "Calls of plugins, trials included",
            self.0.calls.clone(),
        );
        registry.register_with_unit(
            "plugin_call_duration",
            "How long a call of a plugin took, from its instance to its answer",
            Unit::Seconds,
            self.0.durations.clone(),
        );
        registry.register(
            "plugin_fuel",
            "Fuel that plugins used, in the engine's units",
            self.0.fuel.clone(),
        );
    }

    /// Counts one call; `hook` is the name of the interface that was called.
    pub(crate) fn count(
        &self,
        hook: &'static str,
        failure: Option<&HookFailure>,
        took: Duration,
        fuel: u64,
    ) {
        let outcome = failure.map_or(ANSWERED, HookFailure::code);
        let Counted {
            calls,
            durations,
            fuel: burnt,
        } = &*self.0;
        calls
            .get_or_create(&[("hook", hook), ("outcome", outcome)])
            .inc();
        durations
            .get_or_create(&[("hook", hook)])
            .observe(took.as_secs_f64());
        burnt.get_or_create(&[("hook", hook)]).inc_by(fuel);
    }
}

impl Default for Calls {
    fn default() -> Self {
        let counted = Counted {
            calls: Family::default(),
            durations: Family::new_with_constructor(durations),
            fuel: Family::default(),
        };
        for hook in HookPoint::ALL.map(HookPoint::as_str) {
            drop(
                counted
                    .calls
                    .get_or_create(&[("hook", hook), ("outcome", ANSWERED)]),
            );
            drop(counted.durations.get_or_create(&[("hook", hook)]));
            drop(counted.fuel.get_or_create(&[("hook", hook)]));
        }
        Self(Arc::new(counted))
    }
}

/// From what a small plugin takes to the longest deadline there is by default.
fn durations() -> Histogram {
    Histogram::new([
        0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 5.0,
    ])
}
