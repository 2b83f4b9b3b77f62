//! Tests of this room, against accounts in memory.
