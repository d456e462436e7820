//! The story, told with stand-in ports: promises about what viewers, peers and origins see.
//!
//! [`world`] is the stage; the other files are themes. A test sends requests into a pretend mesh,
//! opens gates, moves the clock and the log, and looks at what arrived where.

mod origin;
mod ports;
mod viewer;
mod wires;
mod world;

mod tiers;
mod collapsing;
mod conditions;
mod freshness;
mod purge;
mod purge_method;
mod tags;
mod softened;
mod aged;
mod fenced;
mod confirmed;
mod in_flight;
mod histories;
mod peers;
mod resume;
mod uncacheable;
mod vary;
mod large;
mod large_origin;
mod slices;
mod compression;
mod refusals;
mod hints;
mod pass;
mod changes;
mod standards;
mod policies;
mod error_pages;
