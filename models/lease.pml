/* A lease by compare-and-swap, with a fencing token: one object says who has it and in which epoch.
 *
 * A holder may stall for longer than his lease; then another one takes it over, and both believe
 * that they have it. What must hold: of all who swap the same version only one wins, epochs only
 * grow, and what the holder of an old epoch still sends is refused. With -DWITHOUT=1 the swap is a
 * get and a put, with -DWITHOUT=2 the work does not look at the epoch: then it must fail. */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define HOLDERS 3

byte version = 0;     /* of the lease object; its epoch, too */
byte won[8];          /* how many won the swap from version n */
byte newest_work = 0; /* the epoch of the last work that was taken */

proctype Holder(byte me) {
  byte seen;
  byte turns = 2;
  bool mine;
  do
  :: turns == 0 -> break
  :: else ->
     turns--;
     seen = version;
     mine = false;
#if WITHOUT == 1
     if :: version == seen -> mine = true :: else -> skip fi;
     if :: mine -> version = seen + 1; won[seen]++ :: else -> skip fi;
#else
     atomic { if :: version == seen -> version = seen + 1; won[seen]++; mine = true :: else -> skip fi };
#endif
     assert(won[seen] <= 1);
     if
     :: mine ->
        /* it may stall here until its lease is over and somebody else has the next epoch */
        atomic {
#if WITHOUT == 2
          assert(seen + 1 >= newest_work); newest_work = seen + 1
#else
          if
          :: seen + 1 >= newest_work -> assert(seen + 1 >= newest_work); newest_work = seen + 1
          :: else -> skip  /* refused */
          fi
#endif
        }
     :: else -> skip
     fi
  od
}

init { atomic { run Holder(0); run Holder(1); run Holder(2) } }
