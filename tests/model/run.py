"""Checks the models of the lock-free protocols and prints a table.

usage: run.py [NAME...]     NAME: parkready kept timerpoll timerheap runq mutex cancel takep syscall
               stwpreempt dead news barrier weak trace
               waitgroup leave netpoll netbreak fdlife relacy

Each row is a model, a variant and what is expected. A mutant lacks one fence, re-check or order and must
fail; one that passes means that the model no longer sees what it is there for, so the run fails too.
Without Spin and without Relacy the status is 77, which Meson shows as skipped.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RELACY = '/usr/include/relacy/relacy.hpp'
SKIP = 77
LIMIT = 240  # seconds for one row

# file, switches, passes
ROWS = []


def rows(name, scenarios, memories, passes=True, mutant=None):
    for memory in memories:
        for scenario in scenarios:
            switches = [s for s in (scenario, memory, mutant) if s]
            ROWS.append((name, switches, passes))


BOTH = ('', 'WEAK')
rows('parkready', ('CASCADE', 'IDLING', 'CONTEND'), BOTH)
for scenario, memory, mutant in (
        ('CASCADE', '', 'NO_FENCE_SUBMIT'), ('CONTEND', 'WEAK', 'NO_FENCE_SUBMIT'),
        ('IDLING', 'WEAK', 'NO_FENCE_IDLE'), ('IDLING', '', 'NO_RECHECK'),
        ('CONTEND', 'WEAK', 'NO_RECHECK'), ('IDLING', '', 'NO_SPIN_RECHECK'),
        ('IDLING', '', 'RECHECK_FIRST'), ('IDLING', '', 'EARLY_RECHECK'),
        ('CONTEND', '', 'NO_LOOP'), ('CASCADE', '', 'NO_CASCADE')):
    rows('parkready', (scenario,), (memory,), False, mutant)

# TAKEN with one look and one switch would take more than 2 GB.
for scenario, bounds in (('IDLING', []), ('YIELD', []), ('TAKEN', ['LOOKS=0', 'SWITCHES_MAX=1']),
                         ('TAKEN', ['SWITCHES_MAX=0'])):
    for memory in BOTH:
        if not (memory and 'LOOKS=0' in bounds):
            ROWS.append(('kept', [scenario] + ([memory] if memory else []) + bounds, True))
for scenario, mutant in (
        ('IDLING', 'NO_SYSMON'), ('TAKEN', 'NO_CASCADE'), ('IDLING', 'IGNORES_RING'), ('TAKEN', 'CLEAR_LATE'),
        ('IDLING', 'NO_FENCE_SUBMIT'), ('TAKEN', 'KEPT_EARLY'), ('YIELD', 'YIELD_UNTOLD'),
        ('YIELD', 'SLICE_UNTOLD')):
    rows('kept', (scenario,), ('SWITCHES_MAX=0' if scenario == 'TAKEN' else '',), False, mutant)

rows('timerpoll', ('NEAR', 'FAR', 'BOTH', 'KEPT', 'DEAD', 'ANEW'), BOTH)
for scenario, memory, mutant in (
        ('FAR', 'WEAK', 'NO_FENCE_ARM'), ('NEAR', '', 'NO_FENCE_POLL'),
        ('FAR', 'WEAK', 'NO_FENCE_IDLE'), ('NEAR', '', 'NO_REREAD'), ('NEAR', '', 'RAISE'),
        ('NEAR', '', 'NO_BREAK'), ('FAR', '', 'NO_WAKEP'), ('DEAD', '', 'NO_LOOK'),
        ('DEAD', '', 'NO_GIVE_UP')):
    rows('timerpoll', (scenario,), (memory,), False, mutant)

rows('timerheap', ('RING', 'CROWD', 'STILL', 'FRAME'), BOTH)
for scenario, memory, mutant in (
        ('RING', '', 'LATE_OUT'), ('RING', '', 'NO_LOOK'), ('CROWD', '', 'DEAD_IS_SET'),
        ('CROWD', '', 'NO_LOCK'), ('CROWD', 'WEAK', 'HOME_FREE'), ('CROWD', '', 'ANY_HOME'),
        ('STILL', '', 'NO_FENCE_REMOVED'), ('STILL', '', 'COUNT_LATE'), ('FRAME', '', 'FN_UNLOCKED')):
    rows('timerheap', (scenario,), (memory,), False, mutant)

rows('runq', ('THIEVES', 'BATCH', 'EMPTY'), BOTH)
for scenario, memory, mutant in (
        ('BATCH', 'WEAK', 'TAIL_RELAXED'), ('BATCH', '', 'HEAD_STORE'), ('BATCH', '', 'NEXT_STORE'),
        ('BATCH', '', 'COPY_LATE'), ('BATCH', '', 'FULL_BY_ONE'), ('EMPTY', '', 'NO_REREAD')):
    rows('runq', (scenario,), (memory,), False, mutant)

rows('mutex', ('MIXED', 'TIMED', 'HOG', 'SHORT'), BOTH)
for scenario, memory, mutant in (
        ('MIXED', '', 'NO_FENCE_BEGIN'), ('MIXED', '', 'NO_READ_AGAIN'), ('MIXED', '', 'READ_EARLY'),
        ('TIMED', '', 'BLIND'), ('TIMED', '', 'NO_OWED'), ('TIMED', '', 'OWED_BY_COUNT'),
        ('HOG', '', 'NO_RELOOK'), ('TIMED', '', 'KEEP_STARVING'), ('HOG', 'WEAK', 'NO_PASS_ON'),
        ('MIXED', 'WEAK', 'BARGE'), ('MIXED', '', 'SHORT_BARGE'), ('MIXED', '', 'SHORT_UNLOCK'),
        ('SHORT', 'WEAK', 'UNLOCK_RELAXED')):
    rows('mutex', (scenario,), (memory,), False, mutant)

rows('cancel', ('FOREVER', 'DEADLINE', 'REUSE'), BOTH)
for scenario, memory, mutant in (
        ('FOREVER', '', 'EARLY_LOOK'), ('FOREVER', '', 'NO_FENCE_CANCEL'), ('REUSE', '', 'NO_COUNT'),
        ('DEADLINE', '', 'ARM_LATE'), ('DEADLINE', '', 'TWO_TAKERS')):
    rows('cancel', (scenario,), (memory,), False, mutant)

rows('takep', ('', 'SIGNAL'), BOTH)
for memory, mutant in (('', 'NO_FENCE'), ('WEAK', 'NO_FENCE'), ('WEAK', 'NO_FENCE_AFTER'), ('', 'NO_REREAD'),
                       ('', 'READ_EARLY'), ('', 'NO_PROBE'), ('', 'LEAVE_EARLY')):
    rows('takep', ('SIGNAL',), (memory,), False, mutant)

rows('syscall', ('', 'STOP', 'FLAG'), BOTH)
for scenario, memory, mutant in (
        ('STOP', '', 'NO_FENCE'), ('', 'WEAK', 'RELAXED_STATUS'), ('', '', 'EARLY_STATUS'),
        ('', '', 'NO_CAS'), ('', '', 'BLIND_RETAKE'), ('STOP', '', 'NO_LOOK_HANDOFF'),
        ('STOP', '', 'NO_LOOK'), ('STOP', '', 'NO_CAS_STOP'), ('STOP', '', 'STALE_STOP'),
        ('FLAG', '', 'NO_FENCE_POINT'), ('FLAG', '', 'NO_FENCE_CLEAR')):
    rows('syscall', (scenario,), (memory,), False, mutant)
rows('barrier', ('HYBRID', 'SNAPSHOT'), ('',)) # the stores are releases: WEAK adds nothing
rows('barrier', ('SNAPSHOT',), ('',), True, 'NO_INSERTION')
for scenario, memory, mutant in (
        ('HYBRID', '', 'NO_DELETION'), ('SNAPSHOT', '', 'NO_DELETION'), ('HYBRID', '', 'NO_INSERTION'),
        ('HYBRID', '', 'NO_FLUSH'), ('HYBRID', '', 'NO_AGAIN'), ('HYBRID', '', 'TORN'),
        ('SNAPSHOT', '', 'TORN')):
    rows('barrier', (scenario,), (memory,), False, mutant)

for scenario, calls in (('TURN', 'CALLS=0'), ('TAKE', 'CALLS=0'), ('TWO', 'CALLS=0'), ('ONCE', None)):
    rows('stwpreempt', (scenario,), BOTH, True, calls)
rows('stwpreempt', ('DROP',), ('',), True, 'CALLS=0')
# TURN with BACK, too, would take more than 2 GB.
ROWS += [('stwpreempt', ['TAKE', 'BACK', 'CALLS=0'], True), ('stwpreempt', ['TWO', 'BACK', 'CALLS=0'], True),
         ('stwpreempt', ['TAKE', 'BACK', 'CALLS=0', 'NO_FORGET'], False),
         ('stwpreempt', ['TAKE', 'BACK', 'CALLS=0', 'BLIND_START'], False)]
for scenario, mutant in (
        ('TAKE', 'TAKE_LATE'), ('TAKE', 'NO_COUNT'), ('TAKE', 'NO_KICK_TAKEN'), ('TAKE', 'NO_UNCOUNT'),
        ('TAKE', 'LOCKS_LATE'), ('TAKE', 'KICK_ONCE'), ('DROP', 'NO_UNCOUNT_DROPPED'),
        ('TURN', 'NO_NAME'), ('ONCE', 'LEAVE_EARLY'), ('ONCE', 'PENDING_LATE')):
    rows('stwpreempt', (scenario,), ('' if scenario == 'ONCE' else 'CALLS=0',), False, mutant)
ROWS += [('dead', ['STOPS=1'], True), ('dead', ['REFUSALS=0'], True)] # both would take more than 2 GB
for mutant in ('NO_STARTING', 'NO_LOOK', 'NO_RETRY', 'NO_INSTEAD'):
    rows('dead', ('STOPS=1',), ('',), False, mutant)
rows('news', ('ONE', 'RELAY', 'TRY'), BOTH)
for scenario, memory, mutant in (
        ('ONE', '', 'NO_NEWS'), ('ONE', '', 'NEWS_FIRST'), ('ONE', 'WEAK', 'NEWS_RELAXED'),
        ('ONE', 'WEAK', 'TAKE_RELAXED'), ('RELAY', '', 'LOOK_FIRST'), ('ONE', '', 'NO_SECOND'),
        ('TRY', '', 'NO_KEY'), ('TRY', '', 'KEY_LATE'), ('TRY', 'WEAK', 'NO_FENCE')):
    rows('news', (scenario,), (memory,), False, mutant)

rows('weak', ('SWEEP',), BOTH)
rows('weak', ('MARK',), ('',)) # as barrier
for scenario, memory, mutant in (
        ('SWEEP', '', 'NO_SWEEP'), ('SWEEP', '', 'NO_REREAD'), ('SWEEP', 'WEAK', 'SWEPT_RELAXED'),
        ('SWEEP', 'WEAK', 'PAGES_RELAXED'), ('MARK', '', 'NO_SHADE'), ('MARK', '', 'NO_FLUSH'),
        ('MARK', '', 'NO_AGAIN'), ('MARK', '', 'TORN')):
    rows('weak', (scenario,), (memory,), False, mutant)

rows('trace', ('',), ('',))
for mutant in ('NO_W2', 'NO_R2', 'NO_BUSY', 'NO_FLOOR', 'NO_RECHECK'):
    rows('trace', ('',), ('',), False, mutant)

rows('waitgroup', ('FORK', 'TWO', 'MIXED'), ('',)) # each step is a compare-and-swap or under the lock: WEAK adds nothing
for scenario, mutant in (
        ('FORK', 'BLIND_ZERO'), ('TWO', 'BLIND_OTHERS'), ('TWO', 'LINK_FIRST'), ('MIXED', 'NO_LOCK'),
        ('FORK', 'WAKE_FIRST')):
    rows('waitgroup', (scenario,), ('',), False, mutant)

rows('leave', ('PLOCK', 'MUTEX'), BOTH)
for scenario in ('PLOCK', 'MUTEX'):
    for mutant in ('NO_FENCE_ALL', 'NO_WAIT', 'NAME_LATE'):
        rows('leave', (scenario,), ('',), False, mutant)
    rows('leave', (scenario,), ('WEAK',), False, 'LEAVE_RELAXED')
for scenario, mutant in (('MUTEX', 'NO_BUCKET'), ('MUTEX', 'ASKED_STAYS'), ('PLOCK', 'ONE_TAKEN')):
    rows('leave', (scenario,), ('',), False, mutant)

# Each step of a word is a read-modify-write: WEAK adds nothing.
rows('netpoll', ('', 'TIMED', 'FOREVER'), ('', 'CLOSE', 'TWO'))
for scenario, close, mutant in (
        ('', '', 'RESET_LATE'), ('', '', 'BLIND_STORE'), ('', 'TWO', 'OVERWRITE'), ('TIMED', '', 'NO_NUMBER'),
        ('', 'CLOSE', 'NOT_FOR_GOOD'), ('TIMED', '', 'KEEP_WORD'), ('TIMED', '', 'NO_FIRED'),
        ('TIMED', 'TWO', 'WHO_AFTER'), ('', 'TWO', 'NO_RESERVE'), ('', 'TWO', 'BREAK_IN'),
        ('FOREVER', '', 'BLIND_OPEN')):
    rows('netpoll', (scenario,), (close,), False, mutant)

rows('netbreak', ('',), BOTH)
for memory, mutant in (('', 'NO_BREAK'), ('', 'BREAK_FIRST'), ('', 'BY_MODE'), ('', 'STORE_WORD')):
    rows('netbreak', ('',), (memory,), False, mutant)

rows('fdlife', ('',), ('',)) # each step is a read-modify-write: WEAK adds nothing
for mutant in ('DROP_IN_CLOSE', 'HOLD_LATE', 'DROP_PUTS', 'LEAVE_BLIND'):
    rows('fdlife', ('',), ('',), False, mutant)

rows('relacy', ('',), ('',))
for number in range(1, 5):
    rows('relacy', ('MUTANT=%d' % number,), ('',), False)


def call(args, where, limit=LIMIT):
    done = subprocess.run(args, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, timeout=limit)
    return done.returncode, done.stdout


def must(args, where):
    code, text = call(args, where)
    if code != 0:
        raise RuntimeError(' '.join(args) + '\n' + text)


def spin(name, switches, where):
    """Returns passed (None: not known), states, the verifier's words."""
    must(['spin'] + ['-D' + s for s in switches] + ['-a', os.path.join(HERE, name + '.pml')], where)
    must([os.environ.get('CC', 'cc').split()[0], '-O2', '-w', '-DSAFETY', '-DNOCLAIM', '-DMEMLIM=2000',
          '-DVECTORSZ=2048', '-o', 'pan', 'pan.c'], where)
    _, text = call(['./pan', '-m300000', '-w24'], where)
    errors = re.search(r'errors: (\d+)', text)
    states = re.search(r'(\d+) states, stored', text)
    complete = 'Search not completed' not in text and 'max search depth too small' not in text
    if not errors:
        return None, '', text
    count = states.group(1) if states else ''
    if errors.group(1) != '0':
        return False, count, text
    return (True if complete else None), count, text


def relacy(switches, where):
    must(['c++', '-std=gnu++11', '-O2', '-w'] + ['-D' + s for s in switches] +
         ['-o', 'model', os.path.join(HERE, 'runq_relacy.cc')], where)
    code, text = call(['./model'], where)
    return {0: True, 1: False}.get(code), '', text


def check(row):
    name, switches, expected = row
    where = tempfile.mkdtemp(prefix='gort-model-')
    try:
        passed, states, text = (relacy(switches, where) if name == 'relacy'
                                else spin(name, switches, where))
    except subprocess.TimeoutExpired:
        passed, states, text = None, '', 'no result within %d s' % LIMIT
    finally:
        shutil.rmtree(where)
    good = passed is expected
    result = {True: 'passes', False: 'fails', None: 'UNKNOWN'}[passed]
    print('%-10s %-32s %10s  %-9s %-8s %s' % (
        name, ' '.join(switches), states, 'passes' if expected else 'fails', result,
        'ok' if good else 'WRONG'), flush=True)
    if not good:
        print(text[-3000:])
    return good


def main():
    wanted = sys.argv[1:]
    have = {'spin': shutil.which('spin') is not None, 'relacy': os.path.exists(RELACY)}
    if not any(have.values()):
        print('skipped: neither spin nor relacy is installed')
        return SKIP
    print('%-10s %-32s %10s  %-9s %-8s' % ('model', 'variant', 'states', 'expected', 'result'))
    bad = missing = done = 0
    for row in ROWS:
        if wanted and row[0] not in wanted:
            continue
        if not have['relacy' if row[0] == 'relacy' else 'spin']:
            missing += 1
            continue
        done += 1
        bad += not check(row)
    print('%d rows, %d wrong, %d left out because the tool is missing' % (done, bad, missing))
    if bad:
        return 1
    return 0 if done else SKIP


if __name__ == '__main__':
    sys.exit(main())
