/* Deleting packs while backups run: docs/prune.md.
 *
 * One pack, writers that may use it for a chunk that it holds already, and pruners that find it
 * unreferenced. Anybody may stall between two steps for as long as he likes or stop for ever
 * (Crash), and a pruner that comes after one that stopped begins anew, under a name of his own.
 * Each step is one call of the store; there are no clocks: grace periods decide when somebody does something, never whether it is
 * safe.
 *
 * What must hold: what a published point uses is there. The lines marked [n] are what it takes; with
 * -DWITHOUT=n the model is made without one of them, and then it must fail. */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define WRITERS 2
#define PRUNERS 2

mtype = {none, open, published, revoked};
mtype point[WRITERS] = none;  /* points/<id> */
bool uses[WRITERS];           /* said in the published point: it needs the pack */
bool pack = true;             /* packs/<id> */
bool condemned[PRUNERS];      /* prune/<id>, each pruner's own, names the pack */
bool old_point = true;        /* a point of before, which retention takes away */
bool retired = false;

inline step() { if :: true :: true -> goto stopped fi }  /* or it crashed before it */

inline see_condemned() {
  reuse = reuse && !condemned[0];
  step(); reuse = reuse && !condemned[1]
}

proctype Writer(byte me) {
  bool reuse = true;
#if WITHOUT == 1  /* [1] the open point comes first, before anything is looked at */
  step(); see_condemned();
  step(); reuse = reuse && pack;
  step(); point[me] = open;
#else
  step(); point[me] = open;
#if WITHOUT == 2  /* [2] what is condemned is read before what is there */
  step(); reuse = reuse && pack;
  step(); see_condemned();
#else
#if WITHOUT != 3  /* [3] what is condemned counts as absent: it is stored anew */
  step(); see_condemned();
#endif
  step(); reuse = reuse && pack;
#endif
#endif
  step();
  atomic {  /* compare-and-swap: only an open point is published */
    if
#if WITHOUT == 4  /* [4] */
    :: true -> point[me] = published; uses[me] = reuse
#else
    :: point[me] == open -> point[me] = published; uses[me] = reuse
    :: else -> skip
#endif
    fi
  }
stopped: skip
}

inline look() {  /* at the points, one after the other */
  used = false;
  i = 0;
  do
  :: i < WRITERS ->
     step();
     used = used || (point[i] == published && uses[i]);
     i++
  :: else -> break
  od;
  step(); used = used || (old_point && !retired)
}

proctype Pruner(byte me) {
  byte i;
  bool used;
  bool suspect[WRITERS];
  look();
  if :: used -> goto stopped :: else -> skip fi;
  step(); condemned[me] = true;
  /* [5] whoever is open after that may not know it. Not kept: begun anew after a crash, there
   * are only more of them. */
  i = 0;
  do
  :: i < WRITERS -> step(); suspect[i] = (point[i] == open); i++
  :: else -> break
  od;
  /* the grace period is here */
  i = 0;
  do
  :: i < WRITERS ->
#if WITHOUT != 5
     step();
     atomic {  /* compare-and-swap */
       if :: suspect[i] && point[i] == open -> point[i] = revoked :: else -> skip fi
     };
#endif
     i++
  :: else -> break
  od;
#if WITHOUT == 6  /* [6] looked at again */
  used = false;
#else
  look();
#endif
  if
  :: used -> step(); condemned[me] = false
  :: else ->
#if WITHOUT == 7  /* [7] the pack goes before the word that it goes */
     step(); condemned[me] = false;
     step(); pack = false
#else
     step(); pack = false;
     step(); condemned[me] = false
#endif
  fi
stopped: skip
}

active proctype Retention() { retired = true; old_point = false }

active proctype Safe() {
  end: do
  :: atomic { !pack && ((point[0] == published && uses[0]) || (point[1] == published && uses[1])) ->
              assert(false) }
  od
}

init { atomic { run Writer(0); run Writer(1); run Pruner(0); run Pruner(1) } }
