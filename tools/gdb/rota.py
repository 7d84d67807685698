# SPDX-License-Identifier: MIT
"""
rota's tasks in gdb, of a live process or of a core dump

    rota tasks          who waits for whom, where each was made, its state
    rota bt TASK        a back-trace of one, by its name or id
    rota bt -all        of all of them
    rota bt -full TASK  options go to gdb's own backtrace

For librota.so gdb loads this by itself if it is installed where gdb looks; for
a program with the static library, `source` it.

The library says in its anchor where the tasks are and how their structs are
laid out (src/task/anchor.h), so no debug information of rota's is needed. A
parked task has left three registers in its struct. While a command runs, an
unwinder says of the newest frame of the selected thread that it was called
from where the task is parked; so gdb itself walks the task's stack. Nothing in
the process is changed.
"""

import re
import struct

import gdb

SECTION = '.rota'
MAGIC = b"rota's anchor\r\n\0"
VERSION = 1
HEAD = struct.Struct('<16sIIQQQ')
FIELD = struct.Struct('<24sII')
MOST_FIELDS = 48
MOST_SLOTS = 1 << 22
MOST_LOOPS = 4096
UNKNOWN = 0xffffffff
DEEPEST = 16  # levels that are indented
LEFT_OUT = ('Stacks of tasks are not in this core dump. (gcore gives a '
            "mapping up where it meets a guard; the kernel's dumps have all.)")

# Per architecture: the stack pointer, the program counter, the frame pointer.
REGISTERS = {
    'i386:x86-64': ('rsp', 'rip', 'rbp'),
    'aarch64': ('sp', 'pc', 'x29'),
}


# --- Memory and the anchor ----------------------------------------------------


def read(address, size):
    return gdb.selected_inferior().read_memory(address, size).tobytes()


def pointer_at(address):
    try:
        return int.from_bytes(read(address, 8), 'little')
    except gdb.MemoryError:
        return 0


def text_at(address):
    """A string, or what of it is before the end of a page."""
    for size in (256, 4096 - address % 4096):
        try:
            text = read(address, size)
        except gdb.MemoryError:
            continue
        return text.split(b'\0')[0].decode('utf-8', 'replace')
    return '?'


class Anchor:
    """The library's own word on where its tasks are."""

    def __init__(self, address):
        self.address = address
        self.fields = {}
        head = HEAD.unpack(read(address, HEAD.size))
        magic, self.version, self.pointer, self_, self.known, self.detached = \
            head
        self.is_real = magic == MAGIC and self_ == address
        if self.is_real and self.version == VERSION and self.pointer == 8:
            self.read_fields(address + HEAD.size)

    def read_fields(self, address):
        table = read(address, MOST_FIELDS * FIELD.size)
        for name, offset, size in FIELD.iter_unpack(table):
            self.fields[name.rstrip(b'\0').decode()] = offset, size

    def offset(self, name):
        return self.fields[name][0]

    def size(self, name):
        return self.fields[name][1]

    def get(self, data, name):
        offset, size = self.fields[name]
        return int.from_bytes(data[offset:offset + size], 'little')


def places():
    """Where the section is in memory, in each file that has it."""
    for line in gdb.execute('info files', to_string=True).splitlines():
        found = re.match(r'\s*(0x[0-9a-f]+) - 0x[0-9a-f]+ is (\S+)', line)
        if found and found[2] == SECTION:
            yield int(found[1], 16)
    try:
        yield int(gdb.parse_and_eval('(unsigned long)&rota__anchor'))
    except gdb.error:
        pass


def anchors():
    """Those of the libraries in the process: more than one if it has two."""
    found = {}
    for address in places():
        try:
            anchor = Anchor(address)
        except gdb.MemoryError:
            continue
        if anchor.is_real:
            found[address] = anchor
    for anchor in found.values():
        if not anchor.fields:
            raise gdb.GdbError(
                f'This rota has an anchor of version {anchor.version}; these '
                f'commands know version {VERSION}.')
    if not found and not gdb.selected_inferior().threads():
        raise gdb.GdbError('There is no process and no core dump.')
    if not found:
        raise gdb.GdbError('There is no rota in this program.')
    return list(found.values())


# --- Tasks --------------------------------------------------------------------


class Task:
    def __init__(self, loop, address, data):
        anchor = loop.anchor
        self.loop = loop
        self.address = address
        self.parent = self.ring = None
        self.children = []
        self.id = anchor.get(data, 'task.id')
        self.function = anchor.get(data, 'task.function')
        self.stack = anchor.get(data, 'task.stack')
        self.cancelling = anchor.get(data, 'task.cancelling') != 0
        offset, size = anchor.fields['task.name']
        name = data[offset:offset + size].split(b'\0')[0]
        self.name = name.decode('utf-8', 'replace') or f'Task-{self.id}'
        self.where = loop.text(anchor.get(data, 'task.where'))
        owner = anchor.get(data, 'task.owner')
        self.detached = owner == anchor.detached
        self.waiter = 0
        if owner and not self.detached:
            self.waiter = pointer_at(owner + anchor.offset('owner.task'))
        if not self.waiter:
            self.waiter = self.find_borrower(data)
        self.registers = None
        if anchor.offset('task.sp') != UNKNOWN:
            self.registers = tuple(anchor.get(data, f'task.{register}')
                                   for register in ('sp', 'ip', 'fp'))
        self.state = self.find_state(data)

    def find_borrower(self, data):
        """The first one that looks on, or 0."""
        anchor = self.loop.anchor
        offset = anchor.offset('task.borrowers')
        first = int.from_bytes(data[offset:offset + 8], 'little')
        if first in (0, self.address + offset):
            return 0
        borrower = first - anchor.offset('borrower.link')
        return pointer_at(borrower + anchor.offset('borrower.task'))

    def find_state(self, data):
        anchor = self.loop.anchor
        link = self.address + anchor.offset('task.link')
        if anchor.get(data, 'task.done'):
            return 'done'
        if self.loop.current == self.address:
            return 'running'
        if anchor.get(data, 'task.waiting'):
            return 'waits'
        queued = pointer_at(link) != link
        if not queued and self.address in self.loop.creators:
            return 'begins another'
        if not queued:
            return 'running'
        return 'ready' if anchor.get(data, 'task.begun') else 'new'

    def has_on_stack(self, address):
        low = pointer_at(self.stack + self.loop.anchor.offset('stack.low'))
        return low != 0 and low <= address < self.address

    def __str__(self):
        text = f'{self.name} ({self.where}) {self.state}'
        if self.detached:
            text += ', detached'
        if self.cancelling and self.state != 'done':
            text += ', being cancelled'
        if self.ring:
            text += f', awaited in a ring by {self.ring.name}'
        return text


class Loop:
    """A loop's tasks, by id."""

    def __init__(self, anchor, address):
        data = read(address, anchor.size('tasks'))
        self.anchor = anchor
        self.texts = {}
        self.is_real = anchor.get(data, 'tasks.anchor') == anchor.address
        self.next = anchor.get(data, 'tasks.next_known')
        self.number = anchor.get(data, 'tasks.number')
        self.current = anchor.get(data, 'tasks.current')
        self.creators = set()  # of tasks that begin at once
        eager = anchor.get(data, 'tasks.eager')
        while eager and len(self.creators) < 64:
            self.creators.add(pointer_at(eager + anchor.offset(
                'eager.creator')))
            eager = pointer_at(eager + anchor.offset('eager.outer'))
        self.tasks = []
        self.missing = 0  # tasks whose memory is not in a core dump
        if self.is_real:
            self.read_tasks(anchor.get(data, 'tasks.slots'),
                            anchor.get(data, 'tasks.slot_count'))
            find_parents(self.tasks)

    def read_tasks(self, slots, count):
        size = self.anchor.size('task')
        count = min(count, MOST_SLOTS)
        addresses = struct.unpack(f'<{count}Q', read(slots, 8 * count)) \
            if count else ()
        for address in addresses:
            try:
                data = read(address, size)
            except gdb.MemoryError:
                self.missing += 1
                continue
            self.missing += self.anchor.get(data, 'task.stack') == 0
            if self.anchor.get(data, 'task.id'):
                self.tasks.append(Task(self, address, data))
        self.tasks.sort(key=lambda task: task.id)

    def text(self, address):
        if address not in self.texts:
            self.texts[address] = text_at(address) if address else '?'
        return self.texts[address]


def loops():
    """All loops with tasks, the first made first."""
    found = []
    for anchor in anchors():
        address = pointer_at(anchor.known)
        start = len(found)
        while address and len(found) < MOST_LOOPS:
            try:
                loop = Loop(anchor, address)
            except gdb.MemoryError:
                break
            if not loop.is_real:
                break
            found.insert(start, loop)
            address = loop.next
    return found


# --- The tree -----------------------------------------------------------------


def find_parents(tasks):
    """Hangs each below the task that waits for it; cuts rings somewhere."""
    by_address = {task.address: task for task in tasks}
    seen = {}
    for task in tasks:
        task.parent = by_address.get(task.waiter)
    for number, task in enumerate(tasks):
        while task and task not in seen:
            seen[task] = number
            task = task.parent
        if task and seen[task] == number:
            task.ring, task.parent = task.parent, None
    for task in tasks:
        if task.parent:
            task.parent.children.append(task)


def tree(tasks):
    """Each task with the beginnings of its first line and of those below."""
    left = [(task, '', '', 0) for task in reversed(tasks) if not task.parent]
    while left:
        task, first, rest, depth = left.pop()
        yield task, first, rest
        last = task.children[-1:]
        for child in reversed(task.children):
            branch, below = ('  └─ ', '     ') if [child] == last \
                else ('  ├─ ', '  │  ')
            if depth >= DEEPEST:
                branch, below = f'  [{depth + 1}] ', ''
            left.append((child, rest + branch, rest + below, depth + 1))


def write(text):
    """In ASCII, where gdb's own output is not UTF-8."""
    charset = gdb.host_charset() if hasattr(gdb, 'host_charset') else 'UTF-8'
    if not charset.upper().startswith('UTF'):
        for glyph, plain in (('├─', '|-'), ('└─', '`-'), ('│', '|')):
            text = text.replace(glyph, plain)
        text = text.encode('ascii', 'replace').decode()
    gdb.write(text + '\n')


def each_loop():
    """Each, after its heading if there are several."""
    found = loops()
    if not found:
        write('no tasks')
    for loop in found:
        if len(found) > 1:
            write(f'Loop {loop.number}:')
        if loop.missing:
            write(LEFT_OUT)
        elif not loop.tasks:
            write('no tasks')
        yield loop


# --- Back-traces --------------------------------------------------------------


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


try:
    from gdb.unwinder import Unwinder, register_unwinder
except ImportError:  # an old gdb
    Unwinder, register_unwinder = object, None


class Parked(Unwinder):
    """Calls the newest frame of a thread one that a parked task has called."""

    def __init__(self):
        super().__init__('rota')
        self.enabled = False
        self.target = self.names = self.here = None

    def __call__(self, pending):
        if not self.target:
            return None
        values = [pending.read_register(name) for name in self.names[:2]]
        if tuple(int(value) for value in values) != self.here:
            return None
        # Below all of the task's own frames, as a frame that they called.
        info = pending.create_unwind_info(FrameId(
            gdb.Value(self.target[0] - 16), gdb.Value(self.here[1])))
        for name, number in zip(self.names, self.target):
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(number).cast(kind))
        return info

    def __enter__(self):
        frame = gdb.newest_frame()
        self.here = tuple(int(frame.read_register(name))
                          for name in self.names[:2])
        self.enabled = True
        gdb.invalidate_cached_frames()

    def __exit__(self, *_):
        self.enabled = False
        self.target = None
        gdb.invalidate_cached_frames()


parked = Parked()


def level_of(frame):
    level = 0
    while frame.newer():
        frame = frame.newer()
        level += 1
    return level


def skipped_frames(ip):
    """How many are newer than where the task is parked."""
    frame = gdb.newest_frame()
    for number in range(16):
        frame = frame.older()
        if not frame:
            break
        if frame.pc() == ip:
            return number + 1
    raise gdb.GdbError('This task cannot be unwound.')


def without_newest(text, count):
    """A back-trace without its first frames, numbered anew."""
    start = re.search(rf'^#{count}\b', text, re.M)
    return re.sub(r'^#(\d+) *',
                  lambda found: f'#{int(found[1]) - count}'.ljust(4),
                  text[start.start():] if start else '', flags=re.M)


def trace_parked(task, options):
    architecture = gdb.newest_frame().architecture().name()
    if architecture not in REGISTERS or not task.registers or not \
            register_unwinder:
        return 'parked tasks cannot be unwound here\n'
    level = level_of(gdb.selected_frame())
    parked.names = REGISTERS[architecture]
    parked.target = task.registers
    try:
        with parked:
            count = skipped_frames(task.registers[1])
            return without_newest(backtrace(options), count)
    finally:
        gdb.execute(f'frame {level}', to_string=True)


def backtrace(options):
    return gdb.execute(f'with width 0 -- backtrace {options}', to_string=True)


def threads():
    """Each thread and where its stack pointer is."""
    selected = gdb.selected_thread()
    level = level_of(gdb.selected_frame())
    found = []
    for thread in gdb.selected_inferior().threads():
        try:
            thread.switch()
            found.append((thread, int(gdb.newest_frame().read_register('sp'))))
        except gdb.error:
            continue  # it runs
    selected.switch()
    gdb.execute(f'frame {level}', to_string=True)
    return found


def trace_thread(thread, options):
    selected = gdb.selected_thread()
    level = level_of(gdb.selected_frame())
    thread.switch()
    try:
        return backtrace(options)
    finally:
        selected.switch()
        gdb.execute(f'frame {level}', to_string=True)


def trace(task, running, options):
    for thread, sp in running:
        if task.has_on_stack(sp):
            return trace_thread(thread, options)
    if task.state == 'new':
        symbol = gdb.execute(f'info symbol {task.function}', to_string=True)
        return f'it will begin with {symbol.split(" in section")[0].strip()}\n'
    if task.state == 'done' or not task.registers or \
            not task.has_on_stack(task.registers[0]):
        return ''
    return trace_parked(task, options)


def named(text):
    """The one task of this name, this id, or this LOOP:ID."""
    tasks = [task for loop in loops() for task in loop.tasks]
    found = [task for task in tasks if task.name == text] or \
        [task for task in tasks if str(task.id) == text] or \
        [task for task in tasks if f'{task.loop.number}:{task.id}' == text]
    if not found and any(loop.missing for loop in loops()):
        raise gdb.GdbError(LEFT_OUT)
    if not found:
        raise gdb.GdbError(f'There is no task {text}.')
    if len(found) > 1:
        ids = ', '.join(f'{task.loop.number}:{task.id}' for task in found)
        raise gdb.GdbError(f'There are {len(found)} tasks {text}, with the '
                           f'ids {ids}.')
    return found[0]


# --- The commands -------------------------------------------------------------


class Rota(gdb.Command):
    """Tasks of programs that use rota."""

    def __init__(self):
        super().__init__('rota', gdb.COMMAND_STACK, prefix=True)


class RotaTasks(gdb.Command):
    """rota tasks: print the tree of tasks.

A task stands below the one that waits for its end. In brackets: where it
was made."""

    def __init__(self):
        super().__init__('rota tasks', gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        if argument.strip():
            raise gdb.GdbError('rota tasks takes no arguments.')
        for loop in each_loop():
            for task, first, _ in tree(loop.tasks):
                write(f'{first}{task}')


class RotaBacktrace(gdb.Command):
    """rota bt [-full] TASK, or rota bt [-full] -all: print back-traces.

TASK is a name or an id, as rota tasks prints them; LOOP:ID where there are
several loops. Options are passed to backtrace."""

    def __init__(self):
        super().__init__('rota bt', gdb.COMMAND_STACK)

    def invoke(self, argument, _from_tty):
        found = re.match(r'((?:-\S+\s*)*)(.*)', argument.strip())
        options, name = found[1].split(), found[2]
        is_all = '-all' in options
        if is_all == bool(name):
            raise gdb.GdbError('Which task? rota bt TASK, or rota bt -all.')
        options = ' '.join(option for option in options if option != '-all')
        if is_all:
            self.trace_all(options)
            return
        task = named(name)
        write(str(task))
        gdb.write(trace(task, threads(), options))

    def trace_all(self, options):
        running = threads()
        for loop in each_loop():
            for task, _, _ in tree(loop.tasks):
                write(str(task))
                gdb.write(trace(task, running, options))


if register_unwinder:
    register_unwinder(None, parked, replace=True)
Rota()
RotaTasks()
RotaBacktrace()
