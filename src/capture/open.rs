//! From a path or a stream to a reader, told by the first bytes.
//! Comes in: a path, `-`, or anything that reads. Goes out: a [`Reader`] behind the right decompression and format. Where
//! nothing comes for a while, it waits until somebody wants it to end.
//! Refuses to believe a file's name or ending, and to seek.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::CaptureError;
use super::input::{Input, Pace, Reading};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::reader::{Damage, Format, Reader};

/// Bytes of a block of a single input: an eighth of a second-level cache, so that reading ahead does not drive the tables
/// out of it. Larger blocks measured slower, mapping the file no faster.
pub(super) const BLOCK: usize = 128 << 10;

/// Bytes of a block where many inputs are open at once.
pub(super) const SMALL_BLOCK: usize = 64 << 10;

/// Bytes read at once from a compressed input.
const COMPRESSED_BLOCK: usize = 64 << 10;

/// The largest zstd window accepted, as a power of two: 128 MiB, what `zstd --long` writes at most by default.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Layers of compression looked through: a compressed file that was compressed once more.
const MAX_LAYERS: usize = 2;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: u32 = 0xfd2f_b528;
/// Zstd's skippable frames, which seekable writers put first: `0x184d2a50` to `0x184d2a5f`.
const ZSTD_SKIPPABLE: u32 = 0x184d_2a50;

/// How long nothing may come before that is said: then there is time for a look at signals.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Bytes taken from inputs so far, shared with whoever shows progress.
pub(super) type BytesRead = Arc<AtomicU64>;

/// Whether waiting for the first packets is to end; asked while nothing comes.
pub(super) type Until<'a> = &'a dyn Fn() -> bool;

/// Opens the file at `path`, or standard input for `-`.
pub(super) fn path(
    path: &Path,
    block: usize,
    read: &BytesRead,
    until: Until<'_>,
) -> Result<Reader, CaptureError> {
    let failed = |error| CaptureError::Open { path: path.to_path_buf(), error };
    let file = if is_stdin(path) { stdin() } else { File::open(path) }.map_err(failed)?;
    let read = Arc::clone(read);
    if file.metadata().is_ok_and(|metadata: Metadata| metadata.is_file()) {
        let reading = Reading { block, pace: Pace::WholeBlocks };
        return stream(path, Box::new(Counted { inner: file, read }), reading, until);
    }
    let reading = Reading { block, pace: Pace::AsItComes };
    stream(path, Box::new(Counted { inner: Patient(file), read }), reading, until)
}

/// Whether `path` means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a capture that comes from a stream; `name` is what errors call it.
pub(super) fn stream(
    name: &Path,
    stream: Box<dyn Read + Send>,
    reading: Reading,
    until: Until<'_>,
) -> Result<Reader, CaptureError> {
    let told = |damage: Damage| damage.told(name, 0);
    let mut stream = stream;
    let mut around = "";
    for _ in 0..=MAX_LAYERS {
        let magic = match first_bytes(&mut stream, until) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Reader::silent(name)),
            magic => magic.map_err(|error| told(Damage::unreadable(0, &error)))?,
        };
        let layer = Layer::told_by(&magic);
        let whole =
            |stream| BufReader::with_capacity(COMPRESSED_BLOCK, Cursor::new(magic.clone()).chain(stream));
        (stream, around) = match layer {
            Layer::Pcap => return classic(name, Input::new(&magic, stream, reading), until),
            Layer::Pcapng => {
                let input = Input::new(&magic, stream, reading);
                return Ok(Reader::of(name, input, Format::Pcapng(Pcapng::new())));
            }
            Layer::Gzip => (gunzip(whole(stream)), " inside gzip"),
            Layer::Zstd => {
                let decoder = unzstd(whole(stream)).map_err(|error| told(Damage::unreadable(0, &error)))?;
                (decoder, " inside zstd")
            }
            Layer::Nothing => {
                return Err(told(Damage::new(0, format!("empty{around}, not one byte to read,"))));
            }
            Layer::Unknown => return Err(unknown(name, &magic, around)),
        };
    }
    Err(told(Damage::new(0, format!("more than {MAX_LAYERS} layers of compression"))))
}

/// What an input's first bytes tell.
enum Layer {
    Pcap,
    Pcapng,
    Gzip,
    Zstd,
    /// There are no bytes.
    Nothing,
    Unknown,
}

impl Layer {
    fn told_by(magic: &[u8]) -> Self {
        match magic.first_chunk::<4>() {
            _ if magic.is_empty() => Self::Nothing,
            _ if magic.starts_with(&GZIP) => Self::Gzip,
            Some(magic) if Pcap::knows(*magic) => Self::Pcap,
            Some(magic) if Pcapng::knows(*magic) => Self::Pcapng,
            Some(magic) if is_zstd(*magic) => Self::Zstd,
            _ => Self::Unknown,
        }
    }
}

fn classic(name: &Path, mut input: Input, until: Until<'_>) -> Result<Reader, CaptureError> {
    loop {
        match Pcap::open(&mut input) {
            Ok(pcap) => return Ok(Reader::of(name, input, Format::Pcap(pcap))),
            Err(damage) if damage.comes_later && until() => return Ok(Reader::silent(name)),
            Err(damage) if damage.comes_later => {}
            Err(damage) => return Err(damage.told(name, 0)),
        }
    }
}

/// Up to four bytes, fewer only at the end; [`ErrorKind::WouldBlock`] where waiting for them was to end.
fn first_bytes(stream: &mut impl Read, until: Until<'_>) -> io::Result<Vec<u8>> {
    let (mut magic, mut held) = ([0; 4], 0);
    while let Some(room) = magic.get_mut(held..).filter(|room| !room.is_empty()) {
        match stream.read(room) {
            Ok(0) => break,
            Ok(count) => held += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && !until() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(magic.get(..held).unwrap_or_default().to_vec())
}

fn is_zstd(magic: [u8; 4]) -> bool {
    let magic = u32::from_le_bytes(magic);
    magic == ZSTD || magic & !0xf == ZSTD_SKIPPABLE
}

fn gunzip(stream: impl BufRead + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(flate2::bufread::MultiGzDecoder::new(stream))
}

fn unzstd(stream: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut decoder = zstd::Decoder::with_buffer(stream)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(Box::new(decoder))
}

fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn unknown(name: &Path, magic: &[u8], around: &str) -> CaptureError {
    let magic: Vec<String> = magic.iter().map(|byte| format!("{byte:02x}")).collect();
    CaptureError::Unknown { path: name.to_path_buf(), magic: magic.join(" ") + around }
}

/// A pipe or device: where nothing comes for a while, it says so with [`ErrorKind::WouldBlock`] and may be asked again.
struct Patient(File);

impl Read for Patient {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PATIENCE)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Err(ErrorKind::WouldBlock.into()),
            // What cannot be waited for tells by itself what is wrong with it.
            Ok(_) | Err(_) => self.0.read(room),
        }
    }
}

/// Counts what passes.
struct Counted<R> {
    inner: R,
    read: BytesRead,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(room)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
