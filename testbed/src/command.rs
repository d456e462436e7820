//! One file for each command.

pub(crate) mod up;
pub(crate) mod status;
pub(crate) mod logs;
pub(crate) mod exec;
pub(crate) mod fault;
pub(crate) mod load;
pub(crate) mod chaos;
pub(crate) mod report;
pub(crate) mod compose;
pub(crate) mod down;
