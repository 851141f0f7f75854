/* The logbook's window and several pruners: docs/prune.md, "Several pruners".
 *
 * Points 0 to 4, older ones first; each is a bit. The policy keeps the newest, and the one with which the
 * window begins: the newest that is older by 2. It may keep point 0 for another reason as well. A backup
 * publishes points 3 and 4 whenever it likes. Each pruner names in a word what it drops, by what it saw at
 * any time before; settles that; drops it; and removes the word. Anybody may stall between two steps for as
 * long as he likes, or for ever, and another one goes on with his word. Each step is one call of the store.
 *
 * What must hold: of the points that stay, the window begins with one, and all of the logs is left from that
 * one on. The lines marked [n] are what it takes; with -DWITHOUT=n the model is made without one of them, and
 * then it must fail. */
#ifndef WITHOUT
#define WITHOUT 0
#endif
/* With -DTHREE there are three pruners, nobody else goes on with their words, and point 0 is kept: all orders of
 * everything are too many. */
#if WITHOUT > 6
#define THREE
#endif
#define PRUNERS 3
#define NONE 9

byte points = 7;              /* points/<id>: those that are there */
bool labelled;                /* point 0 is kept for another reason */
mtype = {unwritten, named, settled, gone};
mtype word[PRUNERS] = unwritten;  /* prune/<id> */
byte drops[PRUNERS];          /* what it names; when it is settled, what goes for sure */
byte begins[PRUNERS] = NONE;  /* the point on which it relies */
byte go = 0;                  /* all that goes for sure, or went */
byte left = 0;                /* the logs are left from that point on */

#define newest(set) (((set) & 16) -> 4 : (((set) & 8) -> 3 : (((set) & 4) -> 2 : 0)))
#define beginning_at(set, most) \
  ((((most) >= 2) && ((set) & 4)) -> 2 : ((((most) >= 1) && ((set) & 2)) -> 1 : (((set) & 1) -> 0 : NONE)))
#define beginning(set) beginning_at(set, newest(set) - 2)
#define bit(point) ((point) == NONE -> 0 : (1 << (point)))
#define kept(set) ((1 << newest(set)) | bit(beginning(set)) | (labelled -> ((set) & 1) : 0))

#define is_there(k) (word[k] == named || word[k] == settled)
#define dropped_by(k) (is_there(k) -> drops[k] : 0)

inline look_at_words(k) {
  others = dropped_by(((k) + 1) % PRUNERS) | dropped_by(((k) + 2) % PRUNERS)
}
/* Names are listed first, and then each is read: some are gone then. */
inline look_at_points() {
#if WITHOUT == 8  /* [8] again, until nothing came or went meanwhile */
  seen = points;
  seen = seen & points
#else
  do
  :: seen = points;
     seen = seen & points;
     if :: seen == points -> break :: else -> skip fi
  od
#endif
}

inline look(k) {
#if WITHOUT == 2  /* [2] other words before points */
  look_at_points();
  look_at_words(k);
#else
  look_at_words(k);
  look_at_points();
#endif
#if WITHOUT == 3  /* [3] what another word drops is none with which the window begins */
  stands = begins[k] == beginning(seen);
#else
  stands = begins[k] == beginning(seen & ~others);
#endif
#if WITHOUT == 4  /* [4] the window begins where the word says still */
  stands = true;
#endif
#if WITHOUT != 7  /* [7] what another word drops is left to that */
  seen = seen & ~others
#endif
}

inline settle(k) {
  if
  :: word[k] == named ->
#if WITHOUT != 1
     look(k);
#endif
     atomic {
       if
#if WITHOUT == 5  /* [5] it is settled by one swap */
       :: word[k] != gone ->
#else
       :: word[k] == named ->
#endif
          word[k] = settled;
          drops[k] = (stands -> (drops[k] & seen & ~kept(seen)) : 0);
          go = go | drops[k];
          if :: stands && begins[k] != NONE && begins[k] > left -> left = begins[k] :: else -> skip fi
       :: else -> skip
       fi;
       seen = 0; others = 0; stands = false  /* fewer states */
     }
  :: else -> skip
  fi
}

inline finish(k) {
  settle(k);
  if
  :: word[k] == settled ->
#if WITHOUT == 6  /* [6] the points go before the word */
     seen = drops[k];
     word[k] = gone;
     points = points & ~seen
#else
     points = points & ~drops[k];
     word[k] = gone
#endif
  :: else -> skip
  fi;
  seen = 0
}

proctype Pruner(byte me) {
  byte seen, others;
  bool stands;
  atomic {
    if :: look_at_words(me) :: skip fi;  /* they may have come later */
    seen = points & ~others;
    drops[me] = seen & ~kept(seen);
    begins[me] = beginning(seen);
    seen = 0; others = 0
  }
#if WITHOUT == 1  /* [1] the word is written before the others are looked at */
  look(me);
#endif
  word[me] = named;
  finish(me)
}

/* Another one goes on with a word. */
proctype Other() {
  byte seen, others;
  bool stands;
  finish(0)
}

active proctype Backup() {
  points = points | 8;
  points = points | 16
}

#define stay (points & ~go)
#define first (beginning_at(stay, newest(points) - 2))

active proctype Safe() {
  end: do
  :: atomic { first == NONE || first < left -> assert(false) }
  od
}

init {
  atomic {
#ifdef THREE
    labelled = true;
#else
    if :: labelled = true :: labelled = false fi;
#endif
    run Pruner(0); run Pruner(1);
#ifdef THREE
    run Pruner(2)
#else
    run Other()
#endif
  }
}
