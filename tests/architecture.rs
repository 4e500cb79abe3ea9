//! The sources keep the map: a module imports only lower ranks, and one file reads the clock.
//!
//! The table below is the one of `ARCHITECTURE.md`; `lib.rs` and `main.rs` stand above it. The files under `src/` are
//! read as text and judged by `architecture/checker.rs`; the second half of this file hands that checker wrong trees
//! and expects it to object.
//!
//! Tests inside `src/` keep the order too, with more room: a `#[cfg(test)]` item may import its own rank, and
//! whatever its rank the modules that traffic is made with (`capture`, `decode`, `synth`). What joins higher stages is
//! a test of what a user sees and stands in `tests/`.

#[path = "architecture/checker.rs"]
mod checker;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/tokens.rs"]
mod tokens;

use std::path::{Path, PathBuf};
use std::{fs, io};

use checker::{Rules, Violation};
use source::Source;

const RULES: Rules<'static> = Rules {
    ranks: &[
        &["time", "service", "metrics", "document"],
        &["capture"],
        &["decode", "synth"],
        &["flow", "attribute"],
        &["aggregate"],
        &["detect"],
        &["incident"],
        &["alert"],
        &["sink", "store"],
        &["config"],
        &["pipeline"],
        &["tune", "report", "serve", "host"],
        &["cli"],
    ],
    ground: "time",
    test_material: 2,
    clock: "src/host/clock.rs",
    // Nine in ten stay under 400; past 600 a reader needs a table of contents.
    longest: 600,
};

#[test]
fn the_sources_keep_the_map() -> io::Result<()> {
    let files = tree()?;
    let pairs = pairs(&files);
    assert!(pairs.iter().any(|(path, _)| *path == "src/lib.rs"), "no sources found");
    assert_eq!(lines(&RULES.check(&pairs)), "");
    Ok(())
}

#[test]
fn an_import_of_the_tree_that_is_turned_around_is_refused() -> io::Result<()> {
    let mut files = tree()?;
    let file =
        files.iter_mut().find(|(path, _)| path == "src/aggregate/mod.rs").ok_or(io::ErrorKind::NotFound)?;
    file.1.push_str("use crate::incident::Incident;\n");
    let line = file.1.lines().count();
    assert_eq!(
        lines(&RULES.check(&pairs(&files))),
        format!(
            "src/aggregate/mod.rs:{line}: aggregate (rank 4) imports incident (rank 6): only lower ranks\n"
        )
    );
    Ok(())
}

#[test]
fn every_import_of_the_tree_turned_around_would_be_refused() -> io::Result<()> {
    let files = tree()?;
    let mut turned = 0;
    for (path, text) in &files {
        let source = Source::read(path, text);
        let Some(own) = source.module.first() else { continue };
        for import in source.imports().into_iter().filter(|import| !import.in_test && import.module != *own) {
            let said = judge(&format!("src/{}.rs", import.module), &format!("use crate::{own}::Name;"));
            assert!(said.contains(&format!("imports {own} ")), "{path}:{}: {}", import.line, import.module);
            turned += 1;
        }
    }
    assert!(turned > 100, "{turned} imports");
    Ok(())
}

/// Path and text of every file below `src/`.
fn tree() -> io::Result<Vec<(String, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        Ok((name, fs::read_to_string(&path)?))
    };
    rust_files(&root.join("src"))?.into_iter().map(read).collect()
}

fn pairs(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

/// What the checker says of one file with this code below its opening line.
fn judge(path: &str, code: &str) -> String {
    lines(&RULES.check(&[(path, &format!("//! A file.\n{code}"))]))
}

#[test]
fn lower_ranks_and_siblings_may_be_imported() {
    assert_eq!(
        judge("src/aggregate/tick.rs", "use crate::{flow::FlowEvent, aggregate::Tally, time::Span};"),
        ""
    );
    assert_eq!(judge("src/cli/replay.rs", "use crate::pipeline::Pipeline; use crate::host::clock;"), "");
}

#[test]
fn a_turned_around_import_is_refused() {
    assert_eq!(
        judge("src/aggregate/mod.rs", "use crate::incident::Incident;"),
        "src/aggregate/mod.rs:2: aggregate (rank 4) imports incident (rank 6): only lower ranks\n"
    );
}

#[test]
fn every_branch_of_nested_braces_is_read() {
    assert_eq!(
        judge("src/flow/mod.rs", "use crate::{\n    time::{self, Span},\n    pipeline::Pipeline,\n};"),
        "src/flow/mod.rs:4: flow (rank 3) imports pipeline (rank 10): only lower ranks\n"
    );
}

#[test]
fn a_path_inside_an_expression_counts() {
    assert!(judge("src/sink/mod.rs", "fn f() { crate::cli::run() }").contains("imports cli (rank 12)"));
    assert!(
        judge("src/sink/mod.rs", "macro_rules! m { () => { $crate::cli::run() } }").contains("imports cli")
    );
}

#[test]
fn climbing_with_super_counts() {
    assert!(judge("src/time.rs", "use super::cli::run;").contains("imports cli"));
    assert!(judge("src/time.rs", "use self::super::cli::run;").contains("imports cli"));
    assert!(judge("src/flow/table.rs", "use super::super::{time, cli};").contains("imports cli"));
    assert!(judge("src/time.rs", "mod inner { use super::super::cli; }").contains("imports cli"));
    assert_eq!(judge("src/flow/table.rs", "use super::cli; mod inner { use super::super::cli; }"), "");
}

#[test]
fn modules_of_one_rank_do_not_know_each_other() {
    assert!(judge("src/decode/mod.rs", "use crate::synth::Traffic;").contains("imports synth (rank 2)"));
    assert!(judge("src/synth/mod.rs", "use crate::decode::Packet;").contains("imports decode (rank 2)"));
}

#[test]
fn time_is_the_ground_of_all_and_stands_on_nothing() {
    assert_eq!(judge("src/document/quantity.rs", "use crate::time::Span;"), "");
    assert!(
        judge("src/document/mod.rs", "use crate::service::Service;").contains("imports service (rank 0)")
    );
    assert!(judge("src/time.rs", "use crate::document::Source;").contains("imports document (rank 0)"));
}

#[test]
fn words_in_comments_and_strings_import_nothing() {
    let code = "// use crate::cli::run;\n/* crate::cli /* crate::cli */ crate::cli */\n\
                /// See `crate::cli`.\nconst A: &str = \"crate::cli::run\\\" crate::cli\";\n\
                const B: &str = r#\"use crate::cli; \" Instant::now() unsafe\"#;";
    assert_eq!(judge("src/time.rs", code), "");
    assert!(judge("src/time.rs", &format!("{code}\nuse crate::cli::run;")).contains("src/time.rs:7: "));
}

#[test]
fn visibility_is_no_import() {
    assert_eq!(judge("src/time.rs", "pub(crate) fn f() {}"), "");
}

#[test]
fn an_unknown_module_is_refused() {
    assert!(judge("src/utils.rs", "").contains("module utils has no place in the table"));
    assert!(
        judge("src/cli/mod.rs", "use crate::utils::f;").contains("imports utils, no module of the table")
    );
    assert!(judge("src/cli/mod.rs", "use crate::*;").contains("imports *, no module of the table"));
    assert!(judge("src/main.rs", "use bongsu::utils::f;").contains("utils is no module of the table"));
    assert_eq!(judge("src/main.rs", "fn main() { bongsu::cli::run() }"), "");
}

#[test]
fn tests_may_make_their_traffic() {
    let with_synth =
        "#[cfg(test)]\nmod tests { use super::*; use crate::synth::Traffic; fn t() { x(&[1; 2]); } }";
    assert_eq!(judge("src/capture/file.rs", with_synth), "");
    assert_eq!(judge("src/decode/mod.rs", "#[cfg(test)] use crate::synth::Traffic;"), "");
    assert_eq!(judge("src/decode/mod.rs", "#[cfg(all(test, unix))] use crate::synth::Traffic;"), "");
    assert!(
        judge("src/decode/mod.rs", "#[cfg(not(test))] use crate::synth::Traffic;").contains("imports synth")
    );
}

#[test]
fn tests_keep_the_order_above_their_traffic() {
    let with_pipeline = "#[cfg(test)] mod tests { use crate::pipeline::Pipeline; }";
    assert!(judge("src/flow/mod.rs", with_pipeline).contains("imports pipeline (rank 10)"));
}

#[test]
fn code_behind_a_test_module_is_not_test_code() {
    let code = "#[cfg(test)] mod tests { fn t() { if x { y } } }\nuse crate::synth::Traffic;";
    assert!(judge("src/capture/mod.rs", code).contains("src/capture/mod.rs:3: "));
}

#[test]
fn a_file_of_tests_is_test_code() {
    let files = [
        ("src/decode/mod.rs", "//! Packets.\n#[cfg(test)]\nmod tests;\n"),
        ("src/decode/tests.rs", "//! Tests.\nuse crate::synth::Traffic;\n"),
    ];
    assert_eq!(lines(&RULES.check(&files)), "");
    let built_always = [("src/decode/mod.rs", "//! Packets.\nmod tests;\n"), files[1]];
    assert!(
        lines(&RULES.check(&built_always)).contains("src/decode/tests.rs:2: decode (rank 2) imports synth")
    );
}

#[test]
fn one_file_reads_the_clock() {
    for read in [
        "std::time::SystemTime::now()",
        "Instant::now()",
        "let f = tokio::time::Instant::now;",
        "jiff::Timestamp::now()",
        "Zoned::now()",
        "Utc::now()",
        "use std::time::Instant as Moment;",
        "UNIX_EPOCH.elapsed()",
        "rustix::time::clock_gettime(id)",
    ] {
        assert!(judge("src/pipeline.rs", read).contains("only src/host/clock.rs reads a clock"), "{read}");
        assert_eq!(judge("src/host/clock.rs", read), "", "{read}");
    }
    assert!(
        judge("src/flow/mod.rs", "#[cfg(test)] mod tests { fn t() { Instant::now(); } }")
            .contains("Instant::now")
    );
    assert_eq!(
        judge("src/flow/mod.rs", "// Instant::now()\nlet now = packet.time; clock.now(); Self::now_at(now);"),
        ""
    );
}

#[test]
fn the_shape_of_a_file_is_held() {
    assert!(lines(&RULES.check(&[("src/time.rs", "use std::fmt;\n")])).contains("does not open with //!"));
    assert!(judge("src/time.rs", "unsafe fn f() {}").contains("src/time.rs:2: unsafe code"));
    assert_eq!(judge("src/time.rs", &"\n".repeat(599)), "");
    assert!(judge("src/time.rs", &"\n".repeat(600)).contains("601 lines, more than 600"));
}
