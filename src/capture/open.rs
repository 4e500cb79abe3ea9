//! From a path or a stream to a reader, told by the first bytes.
//! Comes in: a path, `-`, or anything that reads. Goes out: a [`Reader`] behind the right decompression and format.
//! Refuses to believe a file's name or ending, and to seek.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::CaptureError;
use super::input::{Input, Pace, Reading};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::reader::{Damage, Format, Reader};

/// Bytes of a block of a single input: a quarter of a second-level cache, so that reading ahead does not drive the tables
/// out of it. Larger blocks measured slower, mapping the file no faster.
pub(super) const BLOCK: usize = 256 << 10;

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

/// Bytes taken from inputs so far, shared with whoever shows progress.
pub(super) type BytesRead = Arc<AtomicU64>;

/// Opens the file at `path`, or standard input for `-`.
pub(super) fn path(path: &Path, block: usize, read: &BytesRead) -> Result<Reader, CaptureError> {
    let failed = |error| CaptureError::Open { path: path.to_path_buf(), error };
    let file = if is_stdin(path) { stdin() } else { File::open(path) }.map_err(failed)?;
    let plain_file = file.metadata().is_ok_and(|metadata: Metadata| metadata.is_file());
    let pace = if plain_file { Pace::WholeBlocks } else { Pace::AsItComes };
    stream(path, Box::new(Counted { inner: file, read: Arc::clone(read) }), Reading { block, pace })
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
) -> Result<Reader, CaptureError> {
    let told = |damage: Damage| damage.told(name, 0);
    let mut stream = stream;
    let mut around = "";
    for _ in 0..=MAX_LAYERS {
        let magic = first_bytes(&mut stream).map_err(|error| told(Damage::unreadable(0, &error)))?;
        let layer = Layer::told_by(&magic);
        let whole =
            |stream| BufReader::with_capacity(COMPRESSED_BLOCK, Cursor::new(magic.clone()).chain(stream));
        (stream, around) = match layer {
            Layer::Pcap => return classic(name, Input::new(&magic, stream, reading)),
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

fn classic(name: &Path, mut input: Input) -> Result<Reader, CaptureError> {
    let pcap = Pcap::open(&mut input).map_err(|damage| damage.told(name, 0))?;
    Ok(Reader::of(name, input, Format::Pcap(pcap)))
}

/// Up to four bytes, fewer only at the end.
fn first_bytes(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut magic = Vec::with_capacity(4);
    stream.take(4).read_to_end(&mut magic)?;
    Ok(magic)
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
