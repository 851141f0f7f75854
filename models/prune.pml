/* Deleting packs while backups run: docs/prune.md.
 *
 * Two packs that hold the same chunk (two backups stored it at once, or it was stored anew), writers
 * that may use a pack for that chunk, and pruners that want the packs gone. Anybody may stall
 * between two steps for as long as he likes, or for ever: that is a crash. A pruner's word may be
 * finished by any pruner, by several at once too. Each step is one call of the store; there are no
 * clocks: grace periods decide when somebody does something, never whether it is safe. What a pruner sees
 * before it writes its word only says what is worth naming, so here it names any pack at any time.
 *
 * A reader restores the old point. What must hold: the chunk that a published point uses is there, and the
 * one that the reader needs, who has pinned his point and then seen it, while his pin is not revoked. The lines marked [n] are what it
 * takes; with -DWITHOUT=n the model is made without one of them, and then it must fail. */
#ifndef WITHOUT
#define WITHOUT 0
#endif
#define WRITERS 2
/* With -DREADER there is a restore in the place of the writers: all orders of both at once are too many. None
 * of them looks at the other, and what is needed is what either needs. */
#if WITHOUT > 10
#define READER
#endif

mtype = {none, open, published, revoked};  /* open: and renewed, by its writer, as often as he likes */
mtype point[WRITERS] = none;  /* points/<id> */
bool uses[WRITERS];           /* said in the published point: it needs the chunk */
bool pack[2] = true;          /* packs/<id>: each holds the chunk */
mtype = {unwritten, named, decided, left, gone};
mtype word[2] = unwritten;    /* prune/<id>: word[i] names pack[i]. left: decided, the pack stays */
bool old_point = true;        /* a point of before, which retention takes away */
mtype pin = none;             /* pins/<id>: of the reader of the old point. open: it counts, and is renewed */
bool seen = false;            /* he has seen his point since, and goes on */

#define condemns(i) (word[i] == named || word[i] == decided)
#define somebody_needs ((point[0] == published && uses[0]) || (point[1] == published && uses[1]) || old_point || \
                        (pin == open && seen))

inline see_words() {
  absent[0] = condemns(0);
  absent[1] = condemns(1)
}
inline see_packs() {
  there[0] = pack[0];
  there[1] = pack[1]
}

proctype Writer(byte me) {
  bool absent[2], there[2];
#if WITHOUT == 1  /* [1] the open point comes first, before anything is looked at */
  see_words(); see_packs();
  point[me] = open;
#else
  point[me] = open;
#if WITHOUT == 2  /* [2] what is condemned is read before what is there */
  see_packs(); see_words();
#else
#if WITHOUT != 3  /* [3] what is condemned counts as absent: it is stored anew */
  see_words();
#endif
  see_packs();
#endif
#endif

  atomic {  /* compare-and-swap: only an open point is published */
    if
#if WITHOUT == 4  /* [4] */
    :: true
#else
    :: point[me] == open
#endif
       -> point[me] = published;
          uses[me] = (there[0] && !absent[0]) || (there[1] && !absent[1])
    :: else -> skip
    fi;
    absent[0] = false; absent[1] = false; there[0] = false; there[1] = false  /* fewer states */
  }
}

proctype Reader() {
#if WITHOUT == 11  /* [11] the pin comes first, then the look at the point */
  bool there;
  there = old_point;
  pin = open;
  seen = there
#else
  pin = open;
  seen = old_point
#endif
}

/* Points first, and then pins: a pin that was written after the look at the pins was written after a look at
 * the points that found the point gone. */
inline look_at_pin() {
#if WITHOUT == 12  /* [12] who gives no sign of life is revoked before he is ignored */
  if :: pinned = (pin == open) :: pinned = false fi
#else
  pinned = (pin == open)
#endif
}

/* The copy in the other pack is as good as this one, if nobody is about to delete it. */
inline look(k) {
#if WITHOUT == 9  /* [9] words before packs */
  other = pack[1 - (k)];
  other = other && !condemns(1 - (k));
#else
#if WITHOUT == 8  /* [8] the words, after the own one was written: else two rely on each other's copy */
  other = trusts;
#else
  other = !condemns(1 - (k));
#endif
  other = other && pack[1 - (k)];
#endif
#if WITHOUT == 13  /* [13] points before pins */
  look_at_pin();
#endif
  used = point[0] == published && uses[0];
  used = used || (point[1] == published && uses[1]);
  used = used || old_point;
#if defined(READER) && WITHOUT != 13 && WITHOUT != 14
  look_at_pin();
#endif
  used = (used || pinned) && !other
}

inline finish(k) {
  if
  :: word[k] == named ->
#if WITHOUT != 5  /* [5] whoever is open after the word was written may not know it */
     atomic { if :: point[0] == open -> point[0] = revoked :: else -> skip fi };
     atomic { if :: point[1] == open -> point[1] = revoked :: else -> skip fi };
#endif
#ifdef READER
     if :: atomic { pin == open -> pin = revoked } :: skip fi;
#endif
#if WITHOUT == 6  /* [6] looked at again */
     used = false;
#else
     look(k);
#endif

#if WITHOUT == 10  /* [10] what is decided is swapped into the word, once */
     if
     :: used -> atomic { if :: word[k] == named -> word[k] = left :: else -> skip fi }
     :: else -> skip
     fi
#else
     atomic { if :: word[k] == named && !used -> word[k] = decided
                 :: word[k] == named && used -> word[k] = left
                 :: else -> skip fi };
     used = word[k] != decided
#endif
  :: word[k] == decided -> used = false
  :: else -> used = true
  fi;
  if
  :: !used ->
#if WITHOUT == 7  /* [7] the pack goes before the word that it goes */
     word[k] = gone;
     pack[k] = false
#else
     pack[k] = false;
     atomic { word[k] = gone; used = false; other = false; pinned = false }
#endif
  :: else -> atomic { used = false; other = false; pinned = false }
  fi
}

proctype Pruner(byte me) {
  bool used, other, trusts, pinned;
#if WITHOUT == 8
  trusts = !condemns(1 - me);
#endif
#if WITHOUT == 14  /* [14] pins are looked at when it is decided, not when the word is written */
  look_at_pin();
#endif
  word[me] = named;
  if :: finish(me) :: skip fi;
  if :: finish((1 - me)) :: skip fi
}

active proctype Retention() { old_point = false }

active proctype Safe() {
  end: do
  :: atomic { !pack[0] && !pack[1] && somebody_needs -> assert(false) }
  od
}

init {
  atomic {
#ifndef READER
    run Writer(0); run Writer(1);
#else
    run Reader();
#endif
    run Pruner(0); run Pruner(1)
  }
}
