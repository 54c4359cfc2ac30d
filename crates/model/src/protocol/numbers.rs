//! The numbers that tell documents and their states apart.

/// The version of a document.
pub type Version = u8;

/// An order, by its index.
pub type OrderIndex = u8;
