//! What this stage promises of whole captures: formats, compression, damage, merging, and all captures of others.
//! Comes in: captures made by hand, and those of `shared/captures` where they are. Goes out: verdicts.
//! Refuses to know how the reader is built.

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::sample::*;
use super::*;
use crate::time::Timestamp;

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;
const BOTH: [Endian; 2] = [Endian::Little, Endian::Big];

fn at(secs: i64, nanos: i64) -> Timestamp {
    Timestamp::from_parts(secs, nanos)
}

/// All events of a capture that has no damage.
fn whole(bytes: &[u8]) -> Vec<Event> {
    let (events, error) = events(bytes);
    assert!(error.is_none(), "{error:?}");
    events
}

/// The error of a capture that has one.
fn error(bytes: &[u8]) -> String {
    events(bytes).1.expect("damage").to_string()
}

#[test]
fn every_magic_in_both_byte_orders() {
    for endian in BOTH {
        for (magic, nanos) in [(MICROS, 5_000), (NANOS, 5), (MODIFIED, 5_000)] {
            let seen = whole(&PcapFile::new(endian, magic).packet((7, 5), b"one").packet((8, 0), b"").bytes);
            let link = LinkType::ETHERNET;
            let first = Event::Frame { time: at(7, nanos), link, wire_len: 3, data: b"one".to_vec() };
            let second = Event::Frame { time: at(8, 0), link, wire_len: 0, data: Vec::new() };
            assert_eq!(seen, [first, second], "{endian:?} {magic:#x}");
        }
    }
}

#[test]
fn a_fraction_over_a_second_carries() {
    let seen = whole(&PcapFile::new(Endian::Little, MICROS).packet((7, 2_500_000), b"x").bytes);
    assert_eq!(seen[0].time(), at(9, 500_000_000));
    let last = whole(&PcapFile::new(Endian::Little, MICROS).packet((u32::MAX, u32::MAX), b"x").bytes);
    assert!(last[0].time() > at(i64::from(u32::MAX), 0), "2106 is not 1969");
}

#[test]
fn old_versions_had_the_lengths_the_other_way_round() {
    let read = |version, lengths| {
        let file = PcapFile::with(Endian::Little, MICROS, version, 1).record((1, 0), lengths, b"four");
        whole(&file.bytes)[0].clone()
    };
    let expected = read((2, 4), (4, 60));
    assert_eq!(expected.data(), b"four");
    for (version, lengths) in
        [((2, 2), (60, 4)), ((2, 3), (60, 4)), ((2, 3), (4, 60)), ((543, 0), (60, 4)), ((2, 5), (4, 60))]
    {
        assert_eq!(read(version, lengths), expected, "{version:?} {lengths:?}");
    }
    assert!(error(&PcapFile::with(Endian::Big, MICROS, (1, 4), 1).bytes).contains("version 1.4"));
}

#[test]
fn the_link_type_is_the_low_half_and_reserved_bits_are_refused() {
    let read =
        |network| events(&PcapFile::with(Endian::Big, MICROS, (2, 4), network).packet((1, 0), b"x").bytes);
    for (network, link) in
        [(0x4400_0001, LinkType::ETHERNET), (0x3000_00e5, LinkType::IPV6), (12, LinkType::RAW)]
    {
        let (seen, error) = read(network);
        assert!(error.is_none(), "{error:?}");
        assert!(matches!(&seen[0], Event::Frame { link: told, .. } if *told == link));
    }
    assert!(read(0x0030_0000).1.unwrap().to_string().contains("reserved bits"));
}

#[test]
fn more_captured_than_on_the_wire_is_taken_as_captured() {
    let seen = whole(&PcapFile::new(Endian::Little, MICROS).record((1, 0), (4, 2), b"four").bytes);
    assert!(matches!(&seen[0], Event::Frame { wire_len: 4, data, .. } if data == b"four"));
}

#[test]
fn an_impossible_length_is_damage_with_packet_and_offset() {
    let good = PcapFile::new(Endian::Little, MICROS).packet((1, 0), b"good");
    let (seen, error) = events(&good.record((2, 0), (u32::MAX, u32::MAX), &[0; 64]).bytes);
    assert_eq!(seen.len(), 1);
    assert!(matches!(error, Some(CaptureError::Damaged { packet: 1, offset: 44, .. })), "{error:?}");
}

/// Five packets in either format, and the offsets at which each ends.
fn five_packets(format: &str) -> (Vec<u8>, Vec<usize>, usize) {
    let mut ends = Vec::new();
    let packets = (1..=5_u32).map(|number| (number, vec![number as u8; number as usize * 3]));
    if format == "pcap" {
        let mut file = PcapFile::new(Endian::Little, MICROS);
        let header = file.bytes.len();
        for (second, data) in packets {
            file = file.packet((second, 0), &data);
            ends.push(file.bytes.len());
        }
        (file.bytes, ends, header)
    } else {
        let mut file = PcapngFile::new(Endian::Big).interface(1, 0, &[]);
        let header = file.bytes.len();
        for (second, data) in packets {
            file = file.packet(0, u64::from(second) * 1_000_000, &data);
            ends.push(file.bytes.len());
        }
        (file.bytes, ends, header)
    }
}

#[test]
fn cut_at_every_byte_all_whole_packets_are_used_and_the_cut_is_told() {
    for format in ["pcap", "pcapng"] {
        let (bytes, ends, header) = five_packets(format);
        for cut in 0..=bytes.len() {
            let (seen, error) = events(&bytes[..cut]);
            assert_eq!(seen.len(), ends.iter().filter(|end| **end <= cut).count(), "{format} cut at {cut}");
            let at_border = cut == header || ends.contains(&cut) || (format == "pcapng" && cut == 28);
            assert_eq!(error.is_none(), at_border, "{format} cut at {cut}: {error:?}");
            if let Some(CaptureError::Damaged { packet, offset, .. }) = error {
                assert_eq!(packet, seen.len() as u64);
                let expected = ends.iter().rfind(|end| **end <= cut).copied().unwrap_or(0);
                assert!(offset >= expected as u64 && offset <= cut as u64, "{format} cut at {cut}: {offset}");
            }
        }
    }
}

#[test]
fn compressed_captures_are_the_same_and_their_cuts_are_told() {
    let (bytes, ..) = five_packets("pcap");
    let expected = whole(&bytes);
    let (front, back) = bytes.split_at(50);
    let twice = [gzip(front), gzip(back)].concat();
    for packed in [gzip(&bytes), zstd(&bytes), twice, [zstd(front), zstd(back)].concat(), zstd(&gzip(&bytes))]
    {
        assert_eq!(whole(&packed), expected);
        for cut in 1..packed.len() {
            let (seen, _) = events(&packed[..cut]);
            assert_eq!(seen, expected[..seen.len()]);
        }
        let (_, error) = events(&packed[..packed.len() - 1]);
        assert!(matches!(error, Some(CaptureError::Damaged { .. })), "{error:?}");
    }
    assert!(error(&gzip(b"no capture")).contains("6e 6f 20 63 inside gzip"));
    assert!(error(&gzip(&gzip(&gzip(&bytes)))).contains("layers"));
    assert!(error(b"").contains("empty"));
    assert!(error(b"ab").contains("61 62"));
}

#[test]
fn a_recorded_flood_compresses_a_thousandfold_and_is_read() {
    let mut file = PcapFile::new(Endian::Little, NANOS);
    for second in 0..20_000 {
        file = file.packet((second, 0), &[0; 1000]);
    }
    let packed = zstd(&file.bytes);
    assert!(packed.len() * 200 < file.bytes.len());
    assert_eq!(whole(&packed).len(), 20_000);
}

#[test]
fn interfaces_have_their_own_link_type_and_clock() {
    for endian in BOTH {
        let file = PcapngFile::new(endian);
        let nanos = file.option(9, &[9]);
        let binary = file.option(9, &[0x80 | 10]);
        let offset = match endian {
            Endian::Little => file.option(14, &(-100_i64).to_le_bytes()),
            Endian::Big => file.option(14, &(-100_i64).to_be_bytes()),
        };
        let file =
            file.interface(1, 0, &[]).interface(101, 0, &nanos).interface(276, 0, &[binary, offset].concat());
        let file =
            file.packet(2, 200 * 1024 + 512, b"c").packet(0, 5_000_001, b"a").packet(1, 5_000_000_001, b"b");
        let seen: Vec<_> =
            whole(&file.bytes).iter().map(|event| (event.time(), event.data().to_vec())).collect();
        let expected = [(at(100, 500_000_000), b"c"), (at(5, 1_000), b"a"), (at(5, 1), b"b")];
        assert_eq!(seen, expected.map(|(time, data)| (time, data.to_vec())), "{endian:?}");
    }
}

#[test]
fn the_byte_order_may_change_between_sections() {
    let file = PcapngFile::new(Endian::Little).interface(1, 0, &[]).packet(0, 1, b"little");
    let file = file.section(Endian::Big, "other").interface(101, 0, &[]).packet(0, 2, b"big");
    let seen = whole(&file.bytes);
    assert_eq!(seen.iter().map(Event::data).collect::<Vec<_>>(), [&b"little"[..], b"big"]);
    let forgotten =
        PcapngFile::new(Endian::Little).interface(1, 0, &[]).section(Endian::Little, "").packet(0, 1, b"x");
    assert!(error(&forgotten.bytes).contains("interface 0"));
}

#[test]
fn simple_and_obsolete_packet_blocks() {
    let file = PcapngFile::new(Endian::Big).interface(1, 4, &[]);
    let simple = [&9_u32.to_be_bytes()[..], b"four"].concat();
    let words: [u32; 5] = [0x0000_0007, 0, 3_000_000, 3, 60];
    let old: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).chain(*b"old").collect();
    let seen = whole(&file.block(3, &simple).block(2, &old).block(3, &simple).bytes);
    let link = LinkType::ETHERNET;
    let simple = |time| Event::Frame { time, link, wire_len: 9, data: b"four".to_vec() };
    let old = Event::Frame { time: at(3, 0), link, wire_len: 60, data: b"old".to_vec() };
    assert_eq!(seen, [simple(at(0, 0)), old, simple(at(3, 0))]);
}

#[test]
fn statistics_are_beats_only_in_our_own_files() {
    let statistics = |author: &str| {
        let file = PcapngFile::new(Endian::Little).section(Endian::Little, author).interface(1, 0, &[]);
        let drops = file.option(7, &41_u64.to_le_bytes());
        let body = [&[0; 4][..], &[0; 4], &2_000_000_u32.to_le_bytes(), &drops].concat();
        whole(&file.block(5, &body).packet(0, 1, b"x").bytes)
    };
    let beat = Beat { time: at(2, 0), dropped_kernel: 41, ..Beat::default() };
    assert_eq!(statistics("bongsu 9.9")[0], Event::Beat(beat));
    assert_eq!(statistics("dumpcap").len(), 1);
}

#[test]
fn unknown_blocks_are_passed_over_whatever_their_length() {
    let file = PcapngFile::new(Endian::Little).interface(1, 0, &[]);
    let long = file.block(0x0bad, &vec![7; 20 << 20]).packet(0, 1, b"x");
    assert_eq!(whole(&long.bytes).len(), 1);
    let mut hostile = PcapngFile::new(Endian::Little).bytes;
    hostile.extend([9, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff]);
    assert!(error(&hostile).contains("4294967292"));
}

#[test]
fn blocks_of_impossible_lengths_are_damage() {
    for length in [0_u32, 4, 11, 13, 30, u32::MAX] {
        let mut file = PcapngFile::new(Endian::Little).interface(1, 0, &[]);
        file.bytes.extend(6_u32.to_le_bytes());
        file.bytes.extend(length.to_le_bytes());
        file.bytes.extend([0; 64]);
        let (seen, error) = events(&file.bytes);
        assert!(seen.is_empty());
        assert!(
            matches!(error, Some(CaptureError::Damaged { packet: 0, offset: 48, .. })),
            "{length}: {error:?}"
        );
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_path_buf()
    }
}

fn order(events: &[Event]) -> String {
    events.iter().map(|event| format!("{}{} ", event.data()[0] as char, event.data()[1])).collect()
}

#[test]
fn inputs_merge_by_time_and_ties_by_their_order() {
    let folder = Folder::new();
    let a = folder.file("a", &pcap_at(&[1, 3, 3, 9], b'a'));
    let b = folder.file("b", &gzip(&pcap_at(&[2, 3, 8], b'b')));
    let c = folder.file("c", &zstd(&pcap_at(&[1, 20], b'c')));
    let (events, errors) = drain(&mut Files::open(&[a.clone(), b.clone(), c.clone()]));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(order(&events), "a1 c1 b2 a3 a3 b3 b8 a9 c20 ");
    let (events, _) = drain(&mut Files::open(&[c, b, a]));
    assert_eq!(order(&events), "c1 a1 b2 b3 a3 a3 b8 a9 c20 ");
}

#[test]
fn an_input_keeps_its_own_order() {
    let folder = Folder::new();
    let a = folder.file("a", &pcap_at(&[5, 1, 6], b'a'));
    let b = folder.file("b", &pcap_at(&[4, 7], b'b'));
    let (events, _) = drain(&mut Files::open(&[a, b]));
    assert_eq!(order(&events), "b4 a5 a1 a6 b7 ");
}

#[test]
fn a_folder_is_every_capture_below_it() {
    let folder = Folder::new();
    folder.file("2/deep/x.log", &pcap_at(&[2], b'x'));
    folder.file("1.pcap", &pcap_at(&[3], b'y'));
    let readme = folder.file("README", b"words");
    let empty = folder.file("empty.pcap", b"");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    let mut files = Files::open(&[folder.path()]);
    let (events, errors) = drain(&mut files);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(order(&events), "x2 y3 ");
    assert_eq!(files.skipped_files(), [folder.path().join("loop"), readme, empty]);
}

#[test]
fn a_folder_without_captures_is_an_error() {
    let folder = Folder::new();
    for count in [0, 1, 2] {
        if count > 0 {
            folder.file(&format!("words{count}"), b"words");
        }
        let mut files = Files::open(&[folder.path()]);
        let (_, errors) = drain(&mut files);
        assert!(matches!(errors.as_slice(), [CaptureError::EmptyFolder { .. }]), "{errors:?}");
        assert_eq!(files.skipped_files().len(), count);
    }
}

#[test]
fn what_is_wrong_with_one_input_does_not_lose_the_others() {
    let folder = Folder::new();
    let good = folder.file("good", &pcap_at(&[1, 2, 3], b'g'));
    let mut bytes = pcap_at(&[1, 2, 3], b'c');
    bytes.pop();
    let cut = folder.file("cut", &bytes);
    let words = folder.file("words", b"words");
    let gone = folder.path().join("gone");
    let empty = folder.file("empty", b"");
    let (events, errors) = drain(&mut Files::open(&[cut, words, gone, good, empty]));
    assert_eq!(order(&events), "c1 g1 c2 g2 g3 ");
    let kinds = errors.iter().map(|error| match error {
        CaptureError::Unknown { .. } => "unknown",
        CaptureError::Open { .. } => "open",
        CaptureError::Damaged { packet: 2, .. } => "cut after 2",
        CaptureError::Damaged { packet: 0, .. } => "empty",
        _ => "other",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["unknown", "open", "empty", "cut after 2"]);
}

#[test]
fn hundreds_of_files_that_follow_each_other_need_few_descriptors() {
    let folder = Folder::new();
    for number in 0..600_u32 {
        folder.file(&format!("{number:03}"), &pcap_at(&[number * 2, number * 2 + 1], b'n'));
    }
    let mut files = Files::open(&[folder.path()]);
    let (mut packets, mut most) = (0, 0);
    let before = descriptors();
    while let Step::Frame = files.step().unwrap() {
        assert_eq!(files.frame().time.secs(), packets);
        packets += 1;
        most = most.max(descriptors().saturating_sub(before));
    }
    assert_eq!(packets, 1200);
    assert!(most < 100, "{most} descriptors more than before");
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(0)
}

/// A named pipe; says so where there can be none.
fn pipe_in(folder: &Folder) -> Option<PathBuf> {
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        println!("not run: no mkfifo");
    }
    made.then_some(pipe)
}

#[test]
fn a_pipe_is_read_as_a_stream_and_has_no_length() {
    let folder = Folder::new();
    let Some(pipe) = pipe_in(&folder) else { return };
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, pcap_at(&[1, 4], b'p'))
    });
    let file = folder.file("file", &pcap_at(&[2, 3], b'f'));
    let mut files = Files::open(&[pipe, file]);
    assert_eq!(files.progress().bytes_total, None);
    let (events, errors) = drain(&mut files);
    writer.join().unwrap().unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(order(&events), "p1 f2 f3 p4 ");
}

#[test]
fn progress_ends_at_the_size_of_the_inputs() {
    let folder = Folder::new();
    let plain = folder.file("plain", &pcap_at(&[1, 2], b'p'));
    let packed = folder.file("packed", &gzip(&pcap_at(&[1, 2], b'g')));
    for paths in [vec![plain.clone()], vec![plain, packed]] {
        let mut files = Files::open(&paths);
        let size: u64 = paths.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        assert_eq!(files.progress().bytes_total, Some(size));
        drain(&mut files);
        assert_eq!(files.progress().bytes_read, size);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_neither_panic_nor_hang(
        magic in 0_usize..9,
        rest in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let magics: [&[u8]; 9] = [
            &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0], &[0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4], &[0x34, 0xcd, 0xb2, 0xa1, 2, 0, 4, 0],
            &[0x0a, 0x0d, 0x0d, 0x0a], &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0],
            &[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd], &[0x50, 0x2a, 0x4d, 0x18], &[],
        ];
        let (seen, _) = events(&[magics[magic], &rest].concat());
        prop_assert!(seen.len() <= rest.len());
    }

    #[test]
    fn a_changed_byte_neither_panics_nor_invents_packets(
        format in prop_oneof![Just("pcap"), Just("pcapng")],
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let (mut bytes, ..) = five_packets(format);
        let place = place.index(bytes.len());
        bytes[place] = value;
        for packed in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
            // A smaller length can make headers of what was data: never more records than bytes for their headers.
            prop_assert!(events(&packed).0.len() <= bytes.len() / 12);
        }
        let mut packed = gzip(&five_packets(format).0);
        let place = place % packed.len();
        packed[place] = value;
        events(&packed);
    }
}

#[test]
fn a_reader_takes_any_stream() {
    let stream = Cursor::new(pcap_at(&[1], b's'));
    let mut reader = Reader::new(Path::new("-"), Box::new(stream)).unwrap();
    assert_eq!(order(&drain(&mut reader).0), "s1 ");
    assert_eq!(reader.step().unwrap(), Step::End);
}

/// Gives up to `step` bytes a read, and before each says that nothing has come.
struct Halting {
    left: Cursor<Vec<u8>>,
    step: usize,
    is_ready: bool,
}

impl Read for Halting {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        self.is_ready = !self.is_ready;
        if self.is_ready {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        let step = self.step.min(room.len());
        self.left.read(&mut room[..step])
    }
}

#[test]
fn a_pipe_that_halts_anywhere_is_read_like_a_file() {
    // A block that nothing is read of, longer than what comes at once.
    let unknown = PcapngFile::new(Endian::Little).block(0x0bad, &[7; 600]).bytes;
    let formats =
        [five_packets("pcap").0, five_packets("pcapng").0, [unknown, five_packets("pcapng").0].concat()];
    for bytes in formats {
        for packed in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
            for step in [1, 3, 50] {
                let left = Cursor::new(packed.clone());
                let stream = Halting { left, step, is_ready: false };
                let mut reader = Reader::new(Path::new("-"), Box::new(stream)).unwrap();
                let (seen, errors) = drain(&mut reader);
                assert!(errors.is_empty(), "{step} bytes at once: {errors:?}");
                assert_eq!((seen.len(), seen), (5, events(&packed).0), "{step} bytes at once");
            }
        }
    }
}

#[test]
fn a_pipe_that_stays_silent_is_waited_for_until_that_is_to_end() {
    let folder = Folder::new();
    let Some(pipe) = pipe_in(&folder) else { return };
    let file = folder.file("file", &pcap_at(&[2, 3], b'f'));
    // Some of a header, and then nothing although somebody may still write.
    for head in [0, 3, 10, 30] {
        for inputs in [vec![pipe.clone()], vec![pipe.clone(), file.clone()]] {
            let mut writer = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
            std::io::Write::write_all(&mut writer, &pcap_at(&[1], b'p')[..head]).unwrap();
            let asked = std::cell::Cell::new(0);
            let until = || asked.replace(asked.get() + 1) > 0;
            let mut files = Files::open_until(&inputs, &until);
            let mut steps = (0..3).map(|_| files.step().unwrap());
            let halted = steps.find(|step| *step != Step::Frame).unwrap();
            // One that is open already says each time that nothing came.
            let silent = if head == 30 && inputs.len() == 1 { Step::Idle } else { Step::End };
            assert_eq!(halted, silent, "{head} bytes");
            drop(writer);
        }
    }
}
