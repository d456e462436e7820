//! The randomness of the machine, taken over: what libraries draw comes from the seed of the run.
//!
//! openraft draws election timeouts, chitchat its partners, tokio the order of `select!`, std the
//! keys of its hash maps. All of them ask the system in the end, by one of two functions of libc:
//! `getrandom` (std and recent libraries) or `syscall` with that number (older ones). Both are
//! defined here again, and a definition in the program goes before the one in a shared library. A
//! thread that was given a seed is answered from it, every other one by the system as before.
//!
//! Libraries keep what they drew for as long as their thread or process lives. So each run has a
//! thread of its own, and only the first run of a process is the same everywhere: tokio counts the
//! runtimes of a process, and mixes the count into its dice.

use std::cell::RefCell;
#[cfg(target_os = "linux")]
use std::ffi::{c_long, c_uint, c_void};

use crate::dice::Dice;

thread_local! {
    static DICE: RefCell<Option<Dice>> = const { RefCell::new(None) };
}

/// What libraries draw on this thread comes from `dice` from now on.
pub(crate) fn seed(dice: Dice) {
    DICE.with(|held| *held.borrow_mut() = Some(dice));
}

/// Fills `buffer` from the thread's dice; says whether it has any.
fn fill(buffer: &mut [u8]) -> bool {
    let filled = DICE.try_with(|held| {
        let mut held = held.borrow_mut();
        let Some(dice) = held.as_mut() else { return false };
        for piece in buffer.chunks_mut(8) {
            piece.copy_from_slice(&dice.roll().to_le_bytes()[..piece.len()]);
        }
        true
    });
    filled.unwrap_or(false)
}

/// What libc's `getrandom` does, for std and whoever else asks it by name.
///
/// # Safety
/// As libc has it: `buffer` points to `length` bytes that may be written.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a function of libc is defined again, with its own contract")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(
    buffer: *mut c_void,
    length: usize,
    flags: c_uint,
) -> isize {
    // SAFETY: the caller's promise, and a buffer is not longer than memory.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    if fill(bytes) {
        return isize::try_from(length).unwrap_or(isize::MAX);
    }
    let (length, flags) = (length as c_long, c_long::from(flags));
    // SAFETY: the same call as the caller's, with the same buffer.
    let got =
        unsafe { system::real()(system::GETRANDOM, buffer as c_long, length, flags, 0, 0, 0) };
    got as isize
}

/// What libc's `syscall` does, for whoever asks for random bytes by number. All other calls, such
/// as those of locks, are passed on as they are.
///
/// # Safety
/// As libc has it: the arguments are what the call with that number wants. The function of libc
/// takes any number of them; the calling conventions of Linux put up to seven integers in the same
/// places for a function that takes seven, and the system ignores those that a call does not have.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a function of libc is defined again, with its own contract")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    if number == system::GETRANDOM {
        // SAFETY: of this call, the first two arguments are a buffer and its length.
        let bytes = unsafe { std::slice::from_raw_parts_mut(a as *mut u8, b as usize) };
        if fill(bytes) {
            return b;
        }
    }
    // SAFETY: the caller's promise is passed on with the arguments.
    unsafe { system::real()(number, a, b, c, d, e, f) }
}

/// libc's own `syscall`, behind ours.
#[cfg(target_os = "linux")]
mod system {
    use std::ffi::{c_char, c_long, c_void};
    use std::sync::atomic::{AtomicPtr, Ordering};

    /// The number of the call that fills a buffer with random bytes.
    #[cfg(target_arch = "x86_64")]
    pub(super) const GETRANDOM: c_long = 318;
    /// The number of the call that fills a buffer with random bytes.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) const GETRANDOM: c_long = 278;

    pub(super) type Syscall =
        unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;

    #[expect(unsafe_code, reason = "the dynamic linker knows where the hidden function is")]
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    }

    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

    /// The next definition after ours.
    #[expect(unsafe_code, reason = "the linker's answer is a function, and nothing says so but us")]
    pub(super) fn real() -> Syscall {
        const NEXT: *mut c_void = std::ptr::without_provenance_mut(usize::MAX);
        let mut found = FOUND.load(Ordering::Relaxed);
        if found.is_null() {
            // SAFETY: the name ends with a zero byte, and the handle is the one that means "next".
            found = unsafe { dlsym(NEXT, c"syscall".as_ptr()) };
            if found.is_null() {
                std::process::abort();
            }
            FOUND.store(found, Ordering::Relaxed);
        }
        // SAFETY: libc's function of that name takes a number and up to six integers.
        unsafe { std::mem::transmute::<*mut c_void, Syscall>(found) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;
    use std::thread;

    use super::*;

    /// What std and openraft's generator draw on a new thread.
    fn drawn(dice: Option<Dice>) -> u64 {
        let thread = thread::spawn(move || {
            dice.map(seed).unwrap_or_default();
            RandomState::new().hash_one(1)
        });
        thread.join().unwrap()
    }

    #[test]
    fn what_std_draws_on_a_seeded_thread_is_of_the_seed() {
        let seeded = |number| drawn(Some(Dice::new(number)));
        assert_eq!(seeded(1), seeded(1));
        assert_ne!(seeded(1), seeded(2));
        assert_ne!(drawn(None), drawn(None), "who has no seed asks the system");
    }
}
