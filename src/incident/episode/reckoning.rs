//! One look at an episode, step by step: what is more than before, whose it is, of which parts it is made, what that comes
//! to. Comes in: an episode and the service's picture. Goes out: its [`Account`].

use std::collections::BTreeSet;

use super::{Episode, Ground, LEAST_ATTRIBUTED, MUTE, SHUT, is_access, told, without_the_many};
use crate::aggregate::{Count, SourceKey};
use crate::detect::rule::Measure;
use crate::detect::{Before, Key, Watched, is_tried, of_counts};
use crate::incident::account::{Account, Grown};
use crate::incident::clients::Gathering;
use crate::incident::cohort::{Cohort, Split, stands_out};
use crate::incident::contrast::Beside;
use crate::incident::facts::Facts;
use crate::incident::health::Found;
use crate::incident::named::{failing, probing};
use crate::incident::origins::Scale;
use crate::incident::suspects::Suspects;
use crate::incident::verdict::Case;
use crate::incident::{Attack, BruteForce, Cause, Condition, Load, Origin, Part, Scan, Verdict};

/// What a look goes by.
pub(super) struct Reckoning<'a> {
    episode: &'a Episode,
    watched: &'a Watched,
    keys: &'a BTreeSet<Key>,
    ground: &'a Ground<'a>,
    before: &'a Before,
    seconds: f64,
    /// What the load is told in.
    measure: Measure,
    total: f64,
    level: Option<f64>,
    /// All that was counted, without what labelled clients bring more than before.
    judged: f64,
    /// Whether connections that are held are what it is about.
    by_held: bool,
    /// What rows are measured by.
    scale: Scale<'a>,
    /// What rows have more than before, in that measure.
    row_excess: f64,
}

impl<'a> Reckoning<'a> {
    /// Measures an episode; `keys` are those that rules found.
    pub fn of(
        episode: &'a Episode,
        watched: &'a Watched,
        keys: &'a BTreeSet<Key>,
        ground: &'a Ground<'a>,
    ) -> Self {
        let before = episode.before(watched);
        let seconds = (episode.until.second - episode.from.second + 1).max(1) as f64;
        let measure = episode.told_measure(before, seconds);
        let total = of_counts(measure, &episode.sums.window.counts) as f64;
        let by_held = episode.is_about_holding(before, seconds);
        // Who holds connections asks for little: by what is asked for, others would be told.
        let whose = if by_held { Measure::Held } else { measure };
        let excess = episode.excess(before, seconds);
        let row_excess = excess.of_rows(whose);
        let counted = of_counts(whose, &episode.sums.window.counts) as f64;
        let labelled = excess.of_labelled(whose);
        let usual = before.rate(whose).unwrap_or(0.0) * seconds;
        let scale = Scale {
            measure: whose,
            told: measure,
            seconds,
            before,
            excess: row_excess.max(counted - labelled - usual),
            total: counted,
            home: ground.home,
            coverage: episode.coverage,
        };
        Self {
            level: before.rate(measure),
            judged: total - excess.of_labelled(measure),
            episode,
            watched,
            keys,
            ground,
            before,
            seconds,
            measure,
            total,
            by_held,
            scale,
            row_excess,
        }
    }

    /// Its traffic beside that of before.
    pub fn beside(&self) -> Beside<'_> {
        let Episode { sums, ordinary, traffic, .. } = self.episode;
        Beside { window: &sums.window, ordinary, scale: &self.scale, traffic: *traffic }
    }

    /// What is told of it, without what it takes longest to find (see [`Episode::describe`]).
    pub fn account(&self) -> Account {
        let episode = self.episode;
        let rows = self.rows();
        let gathering = self.gathering(&rows);
        let grown = self.grown(&rows, gathering);
        let cohorts = self.cohorts(&rows, gathering);
        let mut facts = episode.facts(self.watched, self.before, (self.seconds, self.ground.home));
        let found = episode.examine(self.watched, self.before, self.ground, (&rows, &facts));
        (facts.failing, facts.is_well) = (found.failing(), found.is_well());
        let mut verdict = self.verdict(&cohorts, &facts, &found);
        let origins = self.origins(rows, &mut verdict);
        Account {
            contrast: Vec::new(),
            sought: Vec::new(),
            foreign: episode.foreign(self.before, self.measure, &origins, self.ground),
            load: self.load(&origins),
            neighbours: episode.neighbours(&self.scale),
            found,
            judged: verdict.cause,
            verdict,
            end: episode.end(),
            sides: self.watched.sides(),
            origins,
            grown,
        }
    }

    /// Whether rows hold enough of what there is more than before that it can be said whose it is.
    fn is_attributed(&self) -> bool {
        self.episode.excess(self.before, self.seconds).is_notable(self.scale.measure)
            && self.row_excess >= LEAST_ATTRIBUTED * self.scale.excess
    }

    /// The rows that the excess may come from.
    fn rows(&self) -> Vec<Origin> {
        let window = &self.episode.sums.window;
        if self.is_tried() {
            return probing((window, self.episode.measure), self.keys, &self.scale, self.ground);
        }
        if !self.is_attributed() {
            return Vec::new();
        }
        let mut suspects = Suspects::of(window, self.keys, &self.scale);
        suspects.add_machines(window, &self.scale, self.watched.habits().busy_client());
        suspects.rows(window, &self.scale)
    }

    /// How many different clients come from home beside the rows that stand out; `None` where no home is known, since it is
    /// not known then who would be a crowd.
    fn gathering(&self, rows: &[Origin]) -> Option<Gathering> {
        let Ground { home, .. } = *self.ground;
        let few: Vec<&Origin> = rows.iter().filter(|row| stands_out(row)).collect();
        let counts = |source: &SourceKey| {
            let lineage = &source.prefix.lineage;
            !home.is_foreign(lineage.country) && !few.iter().any(|row| row.holds(lineage, Some(source)))
        };
        let clients = (!home.is_unknown()).then_some(&self.episode.clients)?;
        clients.gathering(self.watched, self.episode.traffic, counts)
    }

    fn grown(&self, rows: &[Origin], gathering: Option<Gathering>) -> Grown {
        // What is held is no part of what is asked for.
        let standing_out = rows.iter().filter(|row| stands_out(row) && !self.by_held);
        let few = standing_out.map(|row| row.share * self.scale.excess).sum();
        let usual = self.level.unwrap_or(0.0) * self.seconds;
        let gathers = gathering.is_some_and(|gathering| !gathering.is_ordinary());
        Grown { measure: self.measure, few, rest: self.judged - usual - few, gathers }
    }

    /// The parts that the excess is judged in.
    fn cohorts(&self, rows: &[Origin], gathering: Option<Gathering>) -> Vec<Cohort> {
        if !self.is_attributed() || self.is_tried() {
            return Vec::new();
        }
        let split = Split {
            window: &self.episode.sums.window,
            scale: &self.scale,
            habits: self.watched.habits(),
            origins: rows,
            gathering,
            is_split: self.ground.weights.demands.split,
        };
        let cohorts = split.cohorts();
        let is_crowded = gathering.is_some_and(Gathering::is_crowd)
            || self.by_packets() && self.episode.is_crowded(self.before, self.seconds, rows);
        let may_wait = self.by_connections() && !self.is_flooded_by_connections() || self.by_packets();
        if self.by_held || may_wait && !is_crowded { without_the_many(cohorts) } else { cohorts }
    }

    /// Whether it is about what was only tried, for which no source earns a row.
    fn is_tried(&self) -> bool {
        is_tried(self.episode.measure)
    }

    fn by_connections(&self) -> bool {
        self.scale.measure == Measure::Connections && is_access(self.episode.measure)
    }

    /// Whether connections are opened for their own sake at a service that serves: who is kept waiting opens many, too.
    fn is_flooded_by_connections(&self) -> bool {
        self.episode.timeline.broke.is_none() && self.episode.is_about_connecting(self.before, self.seconds)
    }

    fn by_packets(&self) -> bool {
        self.scale.measure == Measure::Packets && is_access(self.episode.measure)
    }

    fn verdict(&self, cohorts: &[Cohort], facts: &Facts<'_>, found: &Found) -> Verdict {
        let Self { episode, watched, before, ground, level, seconds, .. } = *self;
        let timeline = &episode.timeline;
        Case {
            weights: ground.weights,
            facts: facts.all(ground.is_declared),
            cohorts,
            busy_client: watched.habits().busy_client(),
            asset_share: watched.habits().asset_share(),
            stage: episode.stage(watched, before),
            said: ground.said,
            is_said_of_all: ground.is_said_of_all,
            told: ground.told,
            unit: episode.unit(self.measure),
            has_accesses: 2 * episode.sums.own[Count::Accesses] >= episode.sums.own[Count::Opened],
            unseen: episode.unseen(watched, level),
            times: level.filter(|level| *level > 0.0).map(|level| self.judged / seconds / level),
            times_asked: before
                .rate(Measure::Accesses)
                .filter(|level| *level > 0.0)
                .map(|level| episode.sums.own[Count::Accesses] as f64 / seconds / level),
            by_connections: self.by_connections(),
            by_packets: self.by_packets(),
            is_connecting: episode.is_connecting(before, seconds),
            few_pushed: timeline.few_pushed(),
            fails_at_ease: facts.fails_at_ease(),
            was_well: facts.was_well(),
            is_hurt: found.health.state >= Condition::Degraded,
            is_failing: found.is_failing(),
            is_brief: facts.is_brief(),
            is_silent: episode.is_silent() || timeline.shut_for >= SHUT || timeline.mute_for >= MUTE,
            is_blind: episode.sides(watched).is_one_way() || facts.is_lossy(),
            is_lossy: facts.is_lossy(),
        }
        .verdict()
    }

    /// The rows to tell, which the verdict's parts then name.
    fn origins(&self, rows: Vec<Origin>, verdict: &mut Verdict) -> Vec<Origin> {
        let is_of_tries = matches!(verdict.cause, Cause::Scan(Scan::Port | Scan::Host));
        let is_of_one = match verdict.cause {
            Cause::Scan(Scan::Path) | Cause::BruteForce(BruteForce::Single) => true,
            // Who holds many connections is told as whoever else brings more than before.
            Cause::Attack(Attack::Slow) => !self.by_held,
            _ => false,
        };
        let is_unnamed = verdict.cause == Cause::Attack(Attack::Slow) && rows.is_empty();
        // Where another rule was first: hosts that do not answer look like a service that does not.
        let is_hidden = is_of_tries && !self.is_tried();
        if !is_hidden && (!is_of_one || !is_unnamed && self.ground.said != Some(verdict.cause)) {
            return told(rows, verdict);
        }
        let window = &self.episode.sums.window;
        let rows = match self.is_tried() {
            true => rows,
            false if is_hidden => probing((window, Measure::Probes), self.keys, &self.scale, self.ground),
            false => failing(window, self.keys, &self.scale, self.ground),
        };
        verdict.parts = vec![Part { cause: verdict.cause, share: 1.0, origins: (0..rows.len()).collect() }];
        rows
    }

    fn load(&self, origins: &[Origin]) -> Load {
        let from_origins: f64 = origins.iter().map(|row| row.rate).sum();
        let rate = self.total / self.seconds;
        Load {
            unit: self.episode.unit(self.measure),
            rate,
            baseline: self.level,
            without_origins: (rate - from_origins).max(0.0),
            knee: self.episode.knee(self.watched, self.measure),
            total: self.total as u64,
        }
    }
}
