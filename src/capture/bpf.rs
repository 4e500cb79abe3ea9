//! Runs filter programs over packets: the classic BPF machine.
//! Comes in: a program that libpcap compiled, and packets. Goes out: whether the program accepts the packet.
//! Refuses to know the filter language; a load outside the captured bytes rejects, as in the kernel.
//! See McCanne and Jacobson, "The BSD Packet Filter", 1993, and `bpf(4)`.

/// Scratch words of the machine (`BPF_MEMWORDS`).
const MEMORY: usize = 16;
/// The longest program taken, in instructions: the kernel's own limit (`BPF_MAXINSNS`).
const MAX_PROGRAM: usize = 4096;

/// A checked program: every jump goes forward and stays inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program(Vec<Instruction>);

/// The packet as the machine sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The captured bytes.
    pub data: &'a [u8],
    /// The length on the wire, which is what `len`, `greater` and `less` mean.
    pub wire_len: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instruction {
    LoadA(Load),
    LoadX(Load),
    StoreA(usize),
    StoreX(usize),
    Alu(Alu, Operand),
    Negate,
    Jump(u32),
    Branch { test: Test, operand: Operand, yes: u8, no: u8 },
    Return(Result),
    AToX,
    XToA,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Immediate(u32),
    WireLen,
    Memory(usize),
    /// Bytes at a fixed offset.
    Absolute(u32, Width),
    /// Bytes at X and a fixed offset.
    Indexed(u32, Width),
    /// Four times the low nibble at an offset: the length of an IPv4 header.
    HeaderLength(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Word,
    Half,
    Byte,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alu {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Or,
    And,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equal,
    Greater,
    GreaterEqual,
    AnyBit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    Constant(u32),
    X,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Result {
    Constant(u32),
    A,
}

/// An instruction as `tcpdump -ddd` prints it.
#[derive(Debug, Clone, Copy)]
struct Raw {
    code: u16,
    yes: u8,
    no: u8,
    k: u32,
}

impl Program {
    /// Reads a program of instructions in decimals, `code yes no k` each, as `tcpdump -ddd` prints them; `None` where
    /// one is unknown or a jump leaves the program.
    pub(super) fn read<I: Iterator<Item: AsRef<str>>>(lines: I) -> Option<Self> {
        let program: Vec<Instruction> =
            lines.map(|line| Raw::read(line.as_ref())?.decode()).collect::<Option<_>>()?;
        let inside = |(at, instruction): (usize, &Instruction)| {
            let furthest = match *instruction {
                Instruction::Return(_) => return true,
                Instruction::Jump(offset) => offset as usize,
                Instruction::Branch { yes, no, .. } => usize::from(yes.max(no)),
                _ => 0,
            };
            at.saturating_add(furthest).saturating_add(1) < program.len()
        };
        let sound = (1..=MAX_PROGRAM).contains(&program.len()) && program.iter().enumerate().all(inside);
        sound.then_some(Self(program))
    }

    /// Whether the program accepts the packet.
    pub(super) fn accepts(&self, seen: Seen<'_>) -> bool {
        self.run(seen).is_some_and(|accepted| accepted > 0)
    }

    /// What the program returns; `None` where it looks outside the packet or divides by zero.
    fn run(&self, seen: Seen<'_>) -> Option<u32> {
        let (mut a, mut x, mut memory, mut at) = (0_u32, 0_u32, [0_u32; MEMORY], 0_usize);
        loop {
            let instruction = *self.0.get(at)?;
            at += 1;
            let value = |operand| match operand {
                Operand::Constant(constant) => constant,
                Operand::X => x,
            };
            match instruction {
                Instruction::LoadA(load) => a = load.value(seen, x, &memory)?,
                Instruction::LoadX(load) => x = load.value(seen, x, &memory)?,
                Instruction::StoreA(word) => *memory.get_mut(word)? = a,
                Instruction::StoreX(word) => *memory.get_mut(word)? = x,
                Instruction::Alu(alu, operand) => a = alu.apply(a, value(operand))?,
                Instruction::Negate => a = a.wrapping_neg(),
                Instruction::Jump(offset) => at += offset as usize,
                Instruction::Branch { test, operand, yes, no } => {
                    at += usize::from(if test.holds(a, value(operand)) { yes } else { no });
                }
                Instruction::Return(Result::Constant(constant)) => return Some(constant),
                Instruction::Return(Result::A) => return Some(a),
                Instruction::AToX => x = a,
                Instruction::XToA => a = x,
            }
        }
    }
}

impl Load {
    #[inline]
    fn value(self, seen: Seen<'_>, x: u32, memory: &[u32; MEMORY]) -> Option<u32> {
        match self {
            Self::Immediate(constant) => Some(constant),
            Self::WireLen => Some(seen.wire_len),
            Self::Memory(word) => memory.get(word).copied(),
            Self::Absolute(offset, width) => width.read(seen.data, offset),
            Self::Indexed(offset, width) => width.read(seen.data, x.checked_add(offset)?),
            Self::HeaderLength(offset) => Width::Byte.read(seen.data, offset).map(|byte| (byte & 0xf) * 4),
        }
    }
}

impl Width {
    #[inline]
    fn read(self, data: &[u8], offset: u32) -> Option<u32> {
        let from = data.get(offset as usize..)?;
        match self {
            Self::Word => from.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)),
            Self::Half => from.first_chunk().map(|bytes| u32::from(u16::from_be_bytes(*bytes))),
            Self::Byte => from.first().map(|byte| u32::from(*byte)),
        }
    }
}

impl Alu {
    fn apply(self, a: u32, operand: u32) -> Option<u32> {
        Some(match self {
            Self::Add => a.wrapping_add(operand),
            Self::Sub => a.wrapping_sub(operand),
            Self::Mul => a.wrapping_mul(operand),
            Self::Div => a.checked_div(operand)?,
            Self::Mod => a.checked_rem(operand)?,
            Self::Or => a | operand,
            Self::And => a & operand,
            Self::Xor => a ^ operand,
            Self::ShiftLeft => a.checked_shl(operand).unwrap_or(0),
            Self::ShiftRight => a.checked_shr(operand).unwrap_or(0),
        })
    }
}

impl Test {
    fn holds(self, a: u32, operand: u32) -> bool {
        match self {
            Self::Equal => a == operand,
            Self::Greater => a > operand,
            Self::GreaterEqual => a >= operand,
            Self::AnyBit => a & operand != 0,
        }
    }
}

impl Raw {
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let raw = Self {
            code: fields.next()?.parse().ok()?,
            yes: fields.next()?.parse().ok()?,
            no: fields.next()?.parse().ok()?,
            k: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(raw)
    }

    /// The class is in the low three bits of the code (`bpf(4)`).
    fn decode(self) -> Option<Instruction> {
        match self.code & 0x07 {
            0x00 => self.load().map(Instruction::LoadA),
            0x01 => self.load().map(Instruction::LoadX),
            0x02 => self.word().map(Instruction::StoreA),
            0x03 => self.word().map(Instruction::StoreX),
            0x04 => self.alu(),
            0x05 => self.jump(),
            0x06 => match self.code & 0x18 {
                0x00 => Some(Instruction::Return(Result::Constant(self.k))),
                0x10 => Some(Instruction::Return(Result::A)),
                _ => None,
            },
            _ if self.code & 0xf8 == 0x80 => Some(Instruction::XToA),
            _ if self.code & 0xf8 == 0x00 => Some(Instruction::AToX),
            _ => None,
        }
    }

    fn word(self) -> Option<usize> {
        usize::try_from(self.k).ok().filter(|word| *word < MEMORY)
    }

    fn load(self) -> Option<Load> {
        let width = match self.code & 0x18 {
            0x00 => Width::Word,
            0x08 => Width::Half,
            0x10 => Width::Byte,
            _ => return None,
        };
        match self.code & 0xe0 {
            0x00 => Some(Load::Immediate(self.k)),
            0x20 => Some(Load::Absolute(self.k, width)),
            0x40 => Some(Load::Indexed(self.k, width)),
            0x60 => self.word().map(Load::Memory),
            0x80 => Some(Load::WireLen),
            0xa0 => Some(Load::HeaderLength(self.k)),
            _ => None,
        }
    }

    fn operand(self) -> Operand {
        if self.code & 0x08 == 0 { Operand::Constant(self.k) } else { Operand::X }
    }

    fn alu(self) -> Option<Instruction> {
        let alu = match self.code & 0xf0 {
            0x00 => Alu::Add,
            0x10 => Alu::Sub,
            0x20 => Alu::Mul,
            0x30 => Alu::Div,
            0x40 => Alu::Or,
            0x50 => Alu::And,
            0x60 => Alu::ShiftLeft,
            0x70 => Alu::ShiftRight,
            0x80 => return Some(Instruction::Negate),
            0x90 => Alu::Mod,
            0xa0 => Alu::Xor,
            _ => return None,
        };
        Some(Instruction::Alu(alu, self.operand()))
    }

    fn jump(self) -> Option<Instruction> {
        let test = match self.code & 0xf0 {
            0x00 => return Some(Instruction::Jump(self.k)),
            0x10 => Test::Equal,
            0x20 => Test::Greater,
            0x30 => Test::GreaterEqual,
            0x40 => Test::AnyBit,
            _ => return None,
        };
        Some(Instruction::Branch { test, operand: self.operand(), yes: self.yes, no: self.no })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(lines: &[&str], data: &[u8], wire_len: u32) -> Option<u32> {
        Program::read(lines.iter()).unwrap().run(Seen { data, wire_len })
    }

    #[test]
    fn a_load_outside_the_packet_rejects() {
        assert_eq!(run(&["40 0 0 2", "22 0 0 0"], &[0, 0, 1, 2], 4), Some(0x0102));
        assert_eq!(run(&["40 0 0 3", "22 0 0 0"], &[0, 0, 1, 2], 4), None);
        assert_eq!(run(&["40 0 0 4294967295", "6 0 0 1"], &[0; 9], 9), None);
    }

    #[test]
    fn len_is_the_length_on_the_wire() {
        assert_eq!(run(&["128 0 0 0", "22 0 0 0"], &[0; 4], 1500), Some(1500));
    }

    #[test]
    fn arithmetic_of_a_hostile_program_is_harmless() {
        assert_eq!(run(&["0 0 0 7", "52 0 0 0", "22 0 0 0"], &[], 0), None, "divided by zero");
        assert_eq!(run(&["0 0 0 7", "100 0 0 40", "22 0 0 0"], &[], 0), Some(0), "shifted by 40");
    }

    #[test]
    fn programs_that_leave_their_end_are_refused() {
        for lines in [
            &["5 0 0 0"][..],
            &["21 0 9 0", "6 0 0 0"],
            &["0 0 0 1"],
            &[],
            &["6 0 0"],
            &["2 0 0 16", "6 0 0 0"],
        ] {
            assert_eq!(Program::read(lines.iter()), None, "{lines:?}");
        }
    }

    proptest! {
        #[test]
        fn any_program_over_any_packet_ends(
            raw in proptest::collection::vec((0_u16..256, 0_u8..4, 0_u8..4, 0_u32..40), 1..40),
            data in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let lines = raw.iter().map(|(code, yes, no, k)| format!("{code} {yes} {no} {k}"));
            if let Some(program) = Program::read(lines) {
                program.accepts(Seen { data: &data, wire_len: 64 });
            }
        }
    }
}
