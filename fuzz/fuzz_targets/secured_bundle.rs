#![no_main]
cosmosmesh_fuzz::door!("secured bundle");
