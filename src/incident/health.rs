//! How the service fares, as clients see it that are no suspects, and how bad that is. Comes in: the rows of an episode
//! and the timeline. Goes out: [`Health`] and a severity. Asks for no cause.

use super::cohort::stands_out;
use super::facts::ORDINARY_LOAD;
use super::timeline::{SLOW_MORE, SLOW_TIMES, Timeline};
use super::{Condition, Health, Origin, Place, Witnesses};
use crate::aggregate::{Cell, Count, Counts, PrefixKey, Sides};
use crate::attribute::Home;
use crate::detect::rule::{Level, Measure};
use crate::detect::{Before, Habits, Key, Window, whole_of};

/// What is needed to ask around.
pub(super) struct Examination<'a> {
    pub window: &'a Window,
    pub before: &'a Before,
    pub habits: &'a Habits,
    pub home: &'a Home,
    pub origins: &'a [Origin],
    pub timeline: &'a Timeline,
    pub own: &'a Counts,
    pub sides: Sides,
    /// Whether most attempts to connect come from forged addresses, so that whether they are answered says nothing.
    pub is_forged: bool,
    /// Whether the service was seen to be well.
    pub was_well: bool,
    /// The part of exchanges that seem to fail because the mirror misses packets.
    pub lacking: f64,
    /// Seconds of the episode.
    pub seconds: f64,
}

/// Fewer exchanges are no testimony.
const LEAST_EXCHANGES: u64 = 20;

/// With everybody asked, fewer than these say nothing.
const LEAST_WITNESSED: u64 = 5;

/// People give up on a page whose first byte takes three seconds.
const GIVEN_UP: f64 = 3_000_000.0;

/// Where that is known, they wait for longer than before by this.
const LONGER: f64 = 1.5;

/// Where so many exchanges fail, people do not get what they came for.
const FAILS: f64 = 0.1;

/// Fewer fail on any day.
const HARDLY: f64 = 0.01;

/// What a slow service counts as, in failures.
const SLOW_COUNTS: f64 = 0.3;

/// How an examined service is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub health: Health,
    /// Whether answers take several times as long as before, or longer than people wait.
    pub is_slow: bool,
    /// Whether it is the latter.
    pub gives_up: bool,
    /// Whether it was ever otherwise.
    pub was_well: bool,
}

impl Examination<'_> {
    pub fn found(&self) -> Found {
        let (witnesses, cell) = self.testimony();
        // An answer that breaks off is one exchange, though it was both begun and not given: of these rows as of all.
        let [given_up, broken] = [Count::Unanswered, Count::Broken].map(|count| self.own[count]);
        let twice = u64::from(cell.unanswered) * broken / given_up.max(1);
        let exchanges = exchanges(&cell).saturating_sub(twice);
        let usual = self.before.rate(Measure::Unanswered).unwrap_or(0.0) * self.seconds;
        let in_vain = f64::from(cell.unanswered) * unusual(given_up, usual);
        // Half a conversation does not tell how it ends.
        let told = (exchanges >= LEAST_WITNESSED && self.sides == Sides::Both)
            .then(|| (cell.server_errors as f64 + in_vain) / exchanges as f64);
        // Whoever cannot connect is no client that could be asked.
        let shut_out = (self.sides == Sides::Both).then(|| self.shut_out()).flatten();
        let turned_away = turned_away(self.own, self.before, self.seconds);
        // Of what is sealed nobody reads what it says: it may be an error, or where to go instead.
        let is_brief = self.own.are_sealed() && brief_unloaded(self.own, self.before, self.seconds).is_some();
        let ratio = [told, shut_out, turned_away].into_iter().flatten().reduce(f64::max);
        // What the mirror's own loss explains says nothing.
        let ratio = ratio.filter(|ratio| self.lacking <= 0.0 || *ratio > self.lacking);
        let wait = (u64::from(cell.first_bytes) >= LEAST_WITNESSED)
            .then(|| cell.wait_us as f64 / f64::from(cell.first_bytes));
        let before = self.habits.first_byte_wait();
        let slower = wait.zip(before).map(|(now, before)| now / before.max(1.0));
        let slow = slower.is_some_and(|times| times >= SLOW_TIMES)
            && wait.zip(before).is_some_and(|(now, before)| now - before >= SLOW_MORE);
        // Who waits for what happens always waits that long.
        let gives_up =
            wait.is_some_and(|wait| wait >= GIVEN_UP && before.is_none_or(|before| wait >= LONGER * before));
        let state = match ratio {
            Some(ratio) if ratio >= 0.5 => Condition::Down,
            Some(ratio) if ratio >= FAILS => Condition::Degraded,
            _ if slow || gives_up || is_brief => Condition::Degraded,
            Some(_) => Condition::Ok,
            None => Condition::Unknown,
        };
        let since = self.timeline.broke.filter(|_| state > Condition::Ok).map(|tick| tick.start());
        Found {
            health: Health { state, failure_ratio: ratio, witnesses, since },
            is_slow: slow || gives_up,
            gives_up,
            was_well: self.was_well,
        }
    }

    /// The part of clients that cannot connect: in a forged flood those who came before and do not any more.
    fn shut_out(&self) -> Option<f64> {
        if !self.is_forged {
            return self.timeline.shut_out();
        }
        let before = self.before.rate(Measure::Connections).filter(|rate| *rate >= 1.0)?;
        let now = self.own[Count::Opened] as f64 / self.seconds.max(1.0);
        Some((1.0 - now / before).max(0.0))
    }

    /// The exchanges of the best witnesses of which there are enough.
    fn testimony(&self) -> (Witnesses, Cell) {
        let mut sums = [Cell::default(); 4];
        for (key, cell) in &self.window.prefixes {
            let suspect = self.is_suspect(key);
            let known = || self.before.was_there(&Key::Prefix(key.prefix));
            let home = !self.home.is_unknown() && !self.home.is_foreign(key.lineage.country);
            let is = [!suspect && known(), !suspect && home, !suspect, true];
            for (sum, is) in sums.iter_mut().zip(is) {
                if is {
                    sum.merge(cell);
                }
            }
        }
        let enough = |cell: &Cell| exchanges(cell) >= LEAST_EXCHANGES;
        let names = [Witnesses::Known, Witnesses::Home, Witnesses::Unsuspected, Witnesses::Everybody];
        let best = names.into_iter().zip(sums).find(|(_, cell)| enough(cell));
        best.unwrap_or((Witnesses::Everybody, sums[3]))
    }

    fn is_suspect(&self, key: &PrefixKey) -> bool {
        self.origins.iter().filter(|row| stands_out(row)).any(|row| holds_prefix(row, key))
    }
}

/// Whether what a row is told of has a prefix, or a part of it.
pub(super) fn holds_prefix(row: &Origin, key: &PrefixKey) -> bool {
    match row.place {
        Place::Country(country) => country == key.lineage.country,
        Place::Network(asn) => Some(asn) == key.lineage.asn && row.country == key.lineage.country,
        Place::Prefix(wide) => wide.contains(&key.prefix),
        // One address's own prefix testifies for it only.
        Place::Source(address) => key.prefix.contains(&address),
    }
}

/// TLS handshakes in vain that are chance, and the part of all of which fewer are: browsers open connections ahead and
/// leave one in ten unused.
const LEAST_VAIN: u64 = 10;
const MOST_VAIN: f64 = 0.3;

/// Who used to ask and now leaves behind the TLS handshake, as those do who are shown a certificate that they cannot trust:
/// the part of what used to be asked that is not any more, where handshakes are in vain as they were not before.
pub(super) fn turned_away(own: &Counts, before: &Before, seconds: f64) -> Option<f64> {
    let [vain, hellos, accesses] =
        [Count::BareHandshakes, Count::Hellos, Count::Accesses].map(|count| own[count]);
    let [usual, usual_vain] =
        [Measure::Accesses, Measure::BareHandshakes].map(|of| before.rate(of).unwrap_or(0.0));
    let used = accesses.saturating_sub(vain) as f64 / seconds.max(1.0);
    let used_before = usual - usual_vain;
    let are_many = vain >= LEAST_VAIN && vain as f64 >= MOST_VAIN * hellos as f64;
    (are_many && used_before > 0.0 && usual_vain < MOST_VAIN * usual)
        .then(|| 1.0 - used / used_before)
        .filter(|part| *part > 0.0)
}

/// Short answers that are chance, how many times as large a part of all they must be as before, and by how much more.
const LEAST_BRIEF: u64 = 20;
const BRIEFER: f64 = 2.0;
const BRIEFER_BY: f64 = 0.4;

/// The part of answers that are short as they were not before, and that before.
pub(super) fn brief(own: &Counts, before: &Before) -> Option<(f64, f64)> {
    let (brief, answers) = (own[Count::BriefAnswers], whole_of(Measure::BriefAnswers, own));
    let level = before.rate(Measure::Accesses).filter(|level| *level > 0.0)?;
    let usual = before.rate(Measure::BriefAnswers).unwrap_or(0.0) / level;
    let part = brief as f64 / answers.max(1) as f64;
    (brief >= LEAST_BRIEF && part >= BRIEFER * usual && part - usual >= BRIEFER_BY).then_some((part, usual))
}

/// The same while the load is ordinary: who floods may ask for what is short.
pub(super) fn brief_unloaded(own: &Counts, before: &Before, seconds: f64) -> Option<(f64, f64)> {
    let level = before.rate(Measure::Accesses).unwrap_or(0.0);
    let is_ordinary = own[Count::Accesses] as f64 / seconds.max(1.0) <= ORDINARY_LOAD * level;
    brief(own, before).filter(|_| is_ordinary)
}

/// The part of what waits in vain that is more than ever: where clients wait for what happens (long polling), most waits do.
pub(super) fn unusual(in_vain: u64, usual: f64) -> f64 {
    (1.0 - usual / in_vain.max(1) as f64).max(0.0)
}

/// What was asked and answered, or not answered.
fn exchanges(cell: &Cell) -> u64 {
    cell.responses.max(u64::from(cell.first_bytes)) + u64::from(cell.unanswered)
}

impl Found {
    /// The part of exchanges that fail; slow ones are on their way there.
    pub fn failing(&self) -> Option<f64> {
        let slow = self.is_slow.then_some(SLOW_COUNTS);
        self.health.failure_ratio.map_or(slow, |ratio| Some(ratio.max(slow.unwrap_or(0.0))))
    }

    /// Whether hardly any exchange fails, and none is slow.
    pub fn is_well(&self) -> bool {
        self.health.state == Condition::Ok && self.failing().is_some_and(|failing| failing < HARDLY)
    }

    /// Whether a tenth of exchanges fail, or answers take longer than people wait.
    pub fn is_failing(&self) -> bool {
        self.health.failure_ratio.is_some_and(|ratio| ratio >= FAILS) || self.gives_up
    }

    /// How bad it is: by the harm done where it can be seen, else `level`; `attacked` is worth a look without harm. A few
    /// seconds of harm are a restart until they are more.
    pub fn severity(&self, level: Level, timeline: &Timeline, attacked: bool) -> Level {
        match self.health.failure_ratio {
            Some(ratio) if ratio >= 0.5 && timeline.down_for >= LONG => Level::Critical,
            _ if self.is_failing() && !timeline.is_brief() => Level::High,
            None => level,
            Some(_) if attacked => Level::Medium,
            Some(_) if self.health.state == Condition::Degraded && !timeline.is_brief() => Level::Medium,
            Some(_) => Level::Low,
        }
    }
}

/// Seconds out of service that wake somebody.
const LONG: u64 = 60;
