//! Scratch memory that a thread reuses from pass to pass, without clearing it or returning it to the system.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// The most free buffers that a thread keeps; more than the blocks of a small model hold at a time.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of f32, with values left from its last use.
pub struct Buffer {
    values: Vec<f32>,
    len: usize,
}

impl Buffer {
    /// `len` arbitrary values: write before you read.
    pub fn new(len: usize) -> Self {
        let reused = FREE.with_borrow_mut(|free| {
            // Takes the smallest buffer that fits; of equal ones the last freed, which is most likely in the cache.
            let fitting = (0..free.len()).rev().filter(|&at| free[at].len() >= len).min_by_key(|&at| free[at].len());
            fitting.map(|at| free.remove(at))
        });
        Self { values: reused.unwrap_or_else(|| vec![0.0; len]), len }
    }

    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::new(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // The list of an ending thread may be gone already.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(values);
            }
        });
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} values", self.len)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_buffer_is_reused_where_it_fits() {
        let (large, small) = (Buffer::zeroed(100), Buffer::zeroed(10));
        let (at_large, at_small) = (large.as_ptr(), small.as_ptr());
        drop((large, small));
        let first = Buffer::new(8);
        assert_eq!((first.as_ptr(), first.len()), (at_small, 8));
        let second = Buffer::new(8);
        assert_eq!(second.as_ptr(), at_large);
        assert_eq!(Buffer::new(1000).len(), 1000);
        assert_eq!(&*second.clone(), &*second);
    }
}
