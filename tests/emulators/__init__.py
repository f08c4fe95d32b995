"""Stand-ins for the services the hub talks to: real HTTP on 127.0.0.1, strict, with a journal and faults."""
