//! The story, told with stand-in ports.
