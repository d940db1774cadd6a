//! The service: a directory over HTTP. It knows of no runtime, so a benchmark runs the same one under two.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, ready};
use std::thread;

use deferral::{Deferred, Promise};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, Response, StatusCode};

/// What is at most this long is read where the request is served, as that takes no longer than to hand it over. A longer file goes in
/// pieces of this length, which other threads read.
const PIECE: usize = 64 << 10;

/// How many threads read long files.
const READERS: usize = 2;

/// A directory to be served, and the threads that read from it.
pub(crate) struct Site {
    root: PathBuf,
    readers: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Site {
    /// Serves what is in `root`.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        let (readers, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..READERS {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name("reader".into()).spawn(move || {
                // A reader takes a job with the lock held, and does it without. It ends with the site.
                let next = || jobs.lock().ok()?.recv().ok();
                while let Some(job) = next() {
                    job();
                }
            })?;
        }
        Ok(Site { root, readers })
    }

    /// Answers a request for `path`, as it stands in the URL.
    pub(crate) fn respond(&self, method: &Method, path: &str) -> Response<Content> {
        // To HEAD, hyper sends the headers alone.
        if method != Method::GET && method != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        self.find(path).unwrap_or_else(|error| self.refuse(&error))
    }

    fn find(&self, path: &str) -> io::Result<Response<Content>> {
        let decoded = decode(path).ok_or(ErrorKind::InvalidInput)?;
        let path_in_root = Path::new(decoded.trim_start_matches('/'));
        if !path_in_root.components().all(|component| matches!(component, Component::Normal(_))) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let file = self.root.join(path_in_root).canonicalize()?;
        // A symbolic link may lead outside.
        if !file.starts_with(&self.root) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        if !file.is_dir() {
            return self.file(&file);
        }
        if !path.ends_with('/') {
            // Or the links of the page would lead elsewhere.
            let mut response = text(StatusCode::MOVED_PERMANENTLY, "a directory ends in a slash\n");
            let location = HeaderValue::try_from(format!("{path}/")).map_err(|_| ErrorKind::InvalidInput)?;
            response.headers_mut().insert(LOCATION, location);
            return Ok(response);
        }
        match self.file(&file.join("index.html")) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(html(list(&file, &decoded)?)),
            result => result,
        }
    }

    fn file(&self, path: &Path) -> io::Result<Response<Content>> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            // A pipe or a device might never end.
            return Err(ErrorKind::PermissionDenied.into());
        }
        let length = metadata.len();
        let content = if length <= PIECE as u64 {
            let mut all = Vec::with_capacity(length as usize);
            Read::by_ref(&mut file).take(length).read_to_end(&mut all)?;
            Content::Whole(all.into())
        } else {
            Content::Pieces(Pieces { left: length, next: read(&self.readers, file), readers: self.readers.clone() })
        };
        Ok(respond(StatusCode::OK, media_type(path), content))
    }

    fn refuse(&self, error: &io::Error) -> Response<Content> {
        match error.kind() {
            // If all of it has vanished, the client is not to blame.
            ErrorKind::NotFound | ErrorKind::NotADirectory if self.root.is_dir() => {
                text(StatusCode::NOT_FOUND, "not found\n")
            }
            ErrorKind::NotFound => {
                text(StatusCode::INTERNAL_SERVER_ERROR, "the directory that is served here is gone\n")
            }
            ErrorKind::PermissionDenied => text(StatusCode::FORBIDDEN, "forbidden\n"),
            ErrorKind::InvalidInput => text(StatusCode::BAD_REQUEST, "no such path can be\n"),
            _ => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
        }
    }
}

// --------------------------------------------------------------------------------------------------------- content

/// The body of a response.
pub(crate) enum Content {
    Whole(Bytes),
    Pieces(Pieces),
}

/// A long file, while it is sent. Each piece is read when the one before is on its way.
pub(crate) struct Pieces {
    left: u64,
    next: Promise<(File, Bytes), io::Error>,
    readers: mpsc::Sender<Job>,
}

/// Has a thread read the next piece. The file goes with the promise, and comes back with its value: nothing needs a clone.
fn read(readers: &mpsc::Sender<Job>, mut file: File) -> Promise<(File, Bytes), io::Error> {
    let (deferred, promise) = Deferred::<_, io::Error>::new();
    let job = move || {
        let mut piece = Vec::with_capacity(PIECE);
        let read = Read::by_ref(&mut file).take(PIECE as u64).read_to_end(&mut piece);
        deferred.settle(read.map(|_| (file, piece.into())));
    };
    // A job that no thread takes is dropped, and its promise rejected.
    let _ = readers.send(Box::new(job));
    promise
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let pieces = match &mut *self {
            Content::Whole(all) if all.is_empty() => return Poll::Ready(None),
            Content::Whole(all) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(all))))),
            Content::Pieces(pieces) if pieces.left == 0 => return Poll::Ready(None),
            Content::Pieces(pieces) => pieces,
        };
        let (file, mut piece) = ready!(Pin::new(&mut pieces.next).poll(cx))?;
        if piece.is_empty() {
            // The client was promised more, so the connection ends here.
            return Poll::Ready(Some(Err(io::Error::new(ErrorKind::UnexpectedEof, "the file has become shorter"))));
        }
        piece.truncate(usize::try_from(pieces.left).unwrap_or(usize::MAX));
        pieces.left -= piece.len() as u64;
        if pieces.left > 0 {
            pieces.next = read(&pieces.readers, file);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

impl Content {
    fn left(&self) -> u64 {
        match self {
            Content::Whole(all) => all.len() as u64,
            Content::Pieces(pieces) => pieces.left,
        }
    }
}

fn respond(status: StatusCode, media_type: &'static str, content: Content) -> Response<Content> {
    let length = content.left();
    let mut response = Response::new(content);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

fn text(status: StatusCode, text: &str) -> Response<Content> {
    respond(status, "text/plain; charset=utf-8", Content::Whole(Bytes::copy_from_slice(text.as_bytes())))
}

fn html(page: String) -> Response<Content> {
    respond(StatusCode::OK, "text/html; charset=utf-8", Content::Whole(page.into()))
}

// ----------------------------------------------------------------------------------------------------- paths, names

/// Replaces `%20` and its kin. `None` if that does not make a path.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok().filter(|path| !path.contains('\0'))
}

fn list(directory: &Path, path: &str) -> io::Result<String> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let slash = if entry.path().is_dir() { "/" } else { "" };
        entries.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    entries.sort();
    let mut page = format!("<!DOCTYPE html>\n<title>{0}</title>\n<h1>{0}</h1>\n<ul>\n", escape(path));
    for name in entries {
        let link = name.bytes().fold(String::new(), |mut link, byte| {
            let plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
            let _ = if plain { write!(link, "{}", char::from(byte)) } else { write!(link, "%{byte:02X}") };
            link
        });
        let _ = writeln!(page, "<li><a href=\"./{link}\">{}</a>", escape(&name));
    }
    page.push_str("</ul>\n");
    Ok(page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "md" | "txt" | "rs" | "toml" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}
