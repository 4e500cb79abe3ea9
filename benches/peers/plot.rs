//! The figures as a picture: a row for each tool, a dot for each workload, nanoseconds on a logarithmic axis.
//! Comes in: what was measured. Goes out: SVG.

use std::fmt::Write;

use crate::report::Measured;

const WIDTH: f64 = 860.0;
/// Where the axis begins and ends.
const LEFT: f64 = 245.0;
const RIGHT: f64 = WIDTH - 40.0;
const TOP: f64 = 86.0;
const ROW: f64 = 30.0;

/// The axis in nanoseconds: decades that hold everything from a walk over records to a flow table that overflows.
const LEAST: f64 = 10.0;
const MOST: f64 = 100_000.0;

/// Colours that people with any colour vision tell apart (Okabe and Ito), and marks that differ as well.
const LOOKS: [(&str, Mark); 3] =
    [("#0072b2", Mark::Circle), ("#d55e00", Mark::Square), ("#009e73", Mark::Diamond)];

#[derive(Clone, Copy)]
enum Mark {
    Circle,
    Square,
    Diamond,
}

/// The picture.
pub fn svg(measured: &[Measured]) -> String {
    let names: Vec<&str> = measured.first().map(names).unwrap_or_default();
    let height = TOP + ROW * names.len() as f64 + 44.0;
    let bottom = height - 44.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <title>CPU time for each packet, by tool and workload</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"16\" font-weight=\"600\">CPU time for each packet, whole process, one core</text>\n"
    );
    axis(&mut out, bottom);
    legend(&mut out, measured);
    for (place, name) in names.iter().enumerate() {
        row(&mut out, measured, name, TOP + ROW * (place as f64 + 0.5));
    }
    out.push_str("</svg>\n");
    out
}

/// Those that ran.
fn names(measured: &Measured) -> Vec<&str> {
    let ran = measured.runs.iter().filter(|runs| !runs.pairs.is_empty());
    ran.map(|runs| runs.name.as_str()).collect()
}

fn x(nanos: f64) -> f64 {
    let part = (nanos.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    LEFT + part * (RIGHT - LEFT)
}

fn axis(out: &mut String, bottom: f64) {
    let mut decade = LEAST;
    while decade <= MOST {
        let at = x(decade);
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            crate::page::thousands(decade as u64)
        );
        decade *= 10.0;
    }
    let middle = (LEFT + RIGHT) / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">nanoseconds a packet, logarithmic</text>",
        bottom + 38.0
    );
}

fn legend(out: &mut String, measured: &[Measured]) {
    for (place, (measured, (colour, look))) in measured.iter().zip(LOOKS).enumerate() {
        let at = LEFT + 130.0 * place as f64;
        mark(out, look, colour, (at, 58.0));
        let _ = writeln!(out, "<text x=\"{}\" y=\"62.5\">{}</text>", at + 12.0, measured.workload.name());
    }
}

fn row(out: &mut String, measured: &[Measured], name: &str, y: f64) {
    let weight = if name.starts_with("bongsu") { " font-weight=\"600\"" } else { "" };
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"{weight}>{name}</text>\
         <line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{RIGHT}\" y2=\"{y}\" stroke=\"#eee\"/>",
        LEFT - 14.0,
        y + 4.5
    );
    for (measured, (colour, look)) in measured.iter().zip(LOOKS) {
        if let Some(runs) = measured.runs_of(name) {
            mark(out, look, colour, (x(runs.per_packet(measured.packets)), y));
        }
    }
}

fn mark(out: &mut String, look: Mark, colour: &str, (x, y): (f64, f64)) {
    let _ = match look {
        Mark::Circle => writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5.5\" fill=\"{colour}\"/>"),
        Mark::Square => {
            let (left, top) = (x - 5.0, y - 5.0);
            writeln!(
                out,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>"
            )
        }
        Mark::Diamond => {
            let turned = format!("rotate(45 {x:.1} {y:.1})");
            let (left, top) = (x - 4.6, y - 4.6);
            writeln!(
                out,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"9.2\" height=\"9.2\" transform=\"{turned}\" fill=\"{colour}\"/>"
            )
        }
    };
}
