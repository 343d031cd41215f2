//! observe → predict → plan → propose → review → act | queue → record: the program, one file a verb.
