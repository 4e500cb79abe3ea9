//! `bongsu rules check` and `bongsu rules test`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{RulesArgs, RulesCommand, RulesPaths};
use super::{Failure, RUNNING, log, output, setup};
use crate::config::Beside;
use crate::detect::rule::{Expect, RuleSet, Weights};
use crate::document::{Reader, Source, Value};
use crate::tune;

/// Runs the command.
pub fn run(args: &RulesArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        RulesCommand::Check(paths) => check(paths),
        RulesCommand::Test(paths) => test(paths),
    }
}

fn check(paths: &RulesPaths) -> Result<ExitCode, Failure> {
    log::start(&paths.log);
    let set = load(paths)?;
    output::print(&format!("{} rules, no problems\n", set.rules.len()))
}

fn test(paths: &RulesPaths) -> Result<ExitCode, Failure> {
    log::start(&paths.log);
    let set = load(paths)?;
    let (config, _) = setup::configuration(None, &[], Beside::Files(&[]))?;
    let attributor = Arc::new(setup::attributor(&config, None, None)?);
    let mut text = String::new();
    let (mut failed, mut untested) = (0, 0);
    for rule in &set.rules {
        if rule.tests.is_empty() {
            untested += 1;
            let _ = writeln!(text, "not run  {}: has no tests", rule.id);
        }
        for test in &rule.tests {
            let result = tune::play(rule, test, &attributor).map_err(Failure::usage)?;
            let word = if result.passed() { "ok      " } else { "FAILED  " };
            failed += u32::from(!result.passed());
            let wanted = match result.expect {
                Expect::Fire => "fires",
                Expect::Silent => "stays silent",
            };
            let did = if result.fired.is_some() { "it fired" } else { "it stayed silent" };
            let _ = writeln!(text, "{word} {}: {} — {wanted}: {did}", result.rule, result.test);
        }
    }
    let tests: usize = set.rules.iter().map(|rule| rule.tests.len()).sum();
    let _ = writeln!(
        text,
        "{} rules, {tests} tests, {failed} failed, {untested} rules without tests",
        set.rules.len()
    );
    let printed = output::print(&text)?;
    Ok(if failed > 0 { ExitCode::from(RUNNING) } else { printed })
}

/// Reads the rules that the paths name. A path may be a configuration: then its rules and changes are read.
fn load(paths: &RulesPaths) -> Result<RuleSet, Failure> {
    let (configurations, rules): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.paths.iter().cloned().partition(|path: &PathBuf| is_configuration(path));
    let mut config = paths.config.clone();
    let flagged = setup::flagged(&paths.services)?;
    let beside = Beside::Files(&flagged);
    for path in configurations {
        if let Some(other) = config.replace(path) {
            // Each configuration stands for itself; the last one's rules are those that are told of.
            setup::configuration(Some(&other), &rules, beside)?;
        }
    }
    Ok(setup::configuration(config.as_deref(), &rules, beside)?.1)
}

/// A configuration is a mapping, a rules file a list; a file of weights is a mapping, too.
fn is_configuration(path: &Path) -> bool {
    path.is_file()
        && Source::load(path).is_ok_and(|source| {
            !Weights::is_source(&source)
                && matches!(Reader::parse(&source).0.map(|node| node.value), Some(Value::Map(_)))
        })
}
