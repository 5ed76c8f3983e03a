#![no_main]
cosmosmesh_fuzz::door!("status report");
