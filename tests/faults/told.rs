//! What came of a fault, as one line.

/// What came of a fault.
pub enum Outcome {
    /// What must hold did; with what was measured.
    Held(String),
    /// It did not, and how far it fell short.
    FellShort(String),
    /// The machine lacks something.
    NotRun(String),
}

/// Prints the line.
///
/// # Panics
/// Where it fell short.
pub fn tell(fault: &str, outcome: Outcome) {
    match outcome {
        Outcome::Held(measured) => println!("{fault}: held ({measured})"),
        Outcome::NotRun(why) => println!("{fault}: not run: {why}"),
        Outcome::FellShort(how) => {
            println!("{fault}: fell short: {how}");
            panic!("{fault}: {how}");
        }
    }
}
