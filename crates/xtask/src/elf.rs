//! The names of the sections of an ELF file.

use std::{ffi::CStr, ops::Range};

/// Of a 64-bit, little-endian ELF file (<https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>).
pub fn sections(file: &[u8]) -> Option<Vec<&str>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size) = (number(file, 0x28..0x30)?, number(file, 0x3a..0x3c)?);
    let (count, name_section) = (number(file, 0x3c..0x3e)?, number(file, 0x3e..0x40)?);
    let header = |section: usize| file.get(table + section * size..);
    let names = number(header(name_section)?, 0x18..0x20)?;
    let name = |section| {
        let at = names + number(header(section)?, 0..4)?;
        CStr::from_bytes_until_nul(file.get(at..)?).ok()?.to_str().ok()
    };
    (0..count).map(name).collect()
}

fn number(bytes: &[u8], at: Range<usize>) -> Option<usize> {
    let bytes = bytes.get(at)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_s_sections_are_found() {
        let file = std::fs::read("/proc/self/exe").unwrap();
        let sections = sections(&file).unwrap();
        assert!(sections.contains(&".text") && sections.contains(&".symtab"), "{sections:?}");
        assert!(super::sections(b"#!/bin/sh").is_none());
    }
}
