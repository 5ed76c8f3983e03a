# Contacts of parts.ron: west (1) and the relay (2) meet for 100 s every 1000 s, the relay and east (3) some minutes later. Bytes per second.
contact 1 2 10 110 2000 1
contact 2 1 10 110 2000 1
contact 2 3 510 610 2000 1
contact 3 2 510 610 2000 1
contact 1 2 1010 1110 2000 1
contact 2 1 1010 1110 2000 1
contact 2 3 1510 1610 2000 1
contact 3 2 1510 1610 2000 1
contact 1 2 2010 2110 2000 1
contact 2 1 2010 2110 2000 1
contact 2 3 2510 2610 2000 1
contact 3 2 2510 2610 2000 1
contact 1 2 3010 3110 2000 1
contact 2 1 3010 3110 2000 1
contact 2 3 3510 3610 2000 1
contact 3 2 3510 3610 2000 1
