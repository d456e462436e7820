//! Who is alive: chitchat behind a port.
