//! Running out of memory, threads, open files or disk is an error that says which, though the libraries below panic or abort.

use std::alloc::{GlobalAlloc, Layout};
use std::io::Write;

use mimalloc::MiMalloc;

/// The allocator. Many small tensors come and go on several threads: mimalloc nearly doubles the training speed on two of
/// them. Where it has no memory left, the program ends with an error instead of a core dump.
pub struct Allocator;

// SAFETY: every call goes to mimalloc as it is; a pointer that is returned is mimalloc's own.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        there(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        there(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        there(unsafe { MiMalloc.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}

#[inline]
fn there(pointer: *mut u8, size: usize) -> *mut u8 {
    if pointer.is_null() {
        out_of_memory(size);
    }
    pointer
}

/// Ends the program. Nothing here may allocate.
#[cold]
fn out_of_memory(size: usize) -> ! {
    let mut text = [0_u8; 256];
    let mut left = &mut text[..];
    let _ = writeln!(
        left,
        "error: out of memory: the system gives no {size} bytes more; take fewer --threads, a smaller \
         training.micro_batch or a larger machine (`sim plan` says what a peer needs)"
    );
    let unused = left.len();
    let _ = std::io::stderr().write_all(&text[..text.len() - unused]);
    // Destructors and handlers at exit may allocate.
    #[cfg(unix)]
    // SAFETY: it ends the process.
    unsafe {
        libc::_exit(1)
    }
    #[cfg(not(unix))]
    std::process::abort()
}

/// What the system and the libraries say, which resource that is, and what to do.
const SHORTAGES: [(&[&str], &str); 4] = [
    (&["Too many open files"], "too many open files; raise the limit (ulimit -n)"),
    (&["No space left on device", "Disk quota exceeded"], "the disk is full; free some space, then resume"),
    (
        &["OUT_OF_MEMORY", "out of memory", "OutOfMemory", "Cannot allocate memory"],
        "out of memory; take a smaller training.micro_batch or a larger device (`sim plan` says what a peer needs)",
    ),
    (
        &["Resource temporarily unavailable", "failed to spawn thread"],
        "the system starts no more threads; take fewer --threads, or raise the limit (ulimit -u)",
    ),
];

/// The shortage that a panic's message tells of.
fn shortage(message: &str) -> Option<&'static str> {
    let found = SHORTAGES.iter().find(|(signs, _)| signs.iter().any(|sign| message.contains(sign)));
    found.map(|(_, told)| *told)
}

/// Turns a panic for lack of something into an error. Any other panic is a defect, and stays one.
pub fn tell_instead_of_panicking() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default();
        if let Some(told) = shortage(message) {
            let _ = writeln!(std::io::stderr(), "error: {told}");
            std::process::exit(1);
        }
        usual(info);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_of_libraries_name_what_is_lacking() {
        let io = |code| format!("it works: {:?}", std::io::Error::from_raw_os_error(code));
        assert!(shortage(&io(libc::EMFILE)).unwrap().contains("ulimit -n"));
        assert!(shortage(&io(libc::ENOSPC)).unwrap().contains("the disk is full"));
        assert!(shortage(&io(libc::EAGAIN)).unwrap().contains("fewer --threads"));
        assert!(shortage("CUDA_ERROR_OUT_OF_MEMORY").unwrap().contains("micro_batch"));
        assert_eq!(shortage("index out of bounds"), None);
    }
}
