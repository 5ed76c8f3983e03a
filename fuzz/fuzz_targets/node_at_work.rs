#![no_main]
cosmosmesh_fuzz::door!("node at work");
