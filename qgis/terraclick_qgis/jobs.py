# SPDX-License-Identifier: GPL-2.0-or-later
"""Work beside the screen: one QgsTask at a time in each lane, answers on the main thread."""

from qgis.core import QgsApplication, QgsTask, QgsTaskManager
from qgis.PyQt.QtCore import QObject

from .client import Failure

MANAGER = "terraclick_tasks"


def manager():
    """The manager of our tasks: QGIS shows what its own one runs, and tells the desktop when a task is complete.

    It belongs to the application and outlives the plug-in, so that a request under way does not hold an unload up.
    """
    application = QgsApplication.instance()
    found = application.findChild(QgsTaskManager, MANAGER)
    if found is None:
        found = QgsTaskManager(application)
        found.setObjectName(MANAGER)
    return found


class _Task(QgsTask):
    """Runs work() in a thread, then done(result, error) on the main thread."""

    def __init__(self, title, work, done):
        super().__init__(title, QgsTask.Flag.CanCancel)
        self.work = work
        self.done = done
        self.result = None
        self.error = None

    def run(self):
        try:
            self.result = self.work()
        except Exception as error:  # handed over; a task may not raise
            self.error = error
        return True

    def finished(self, result):
        if not result and self.error is None:
            self.error = Failure("The work was cancelled.")
        self.done(self.result, self.error)


class Jobs(QObject):
    """Lanes of tasks; those of a lane run one after another in the order given."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.waiting = {}
        self.running = {}
        self.open = True

    def submit(self, lane, work, done, only_latest=False):
        """Run work() in its turn. With only_latest, what waits in the lane is dropped for it (done is not called)."""
        if not self.open:
            return
        line = self.waiting.setdefault(lane, [])
        if only_latest:
            line.clear()
        line.append((work, done))
        self._next(lane)

    def busy(self, lane):
        """Whether a lane works or has work."""
        return lane in self.running or bool(self.waiting.get(lane))

    def close(self):
        """Nothing begins any more and no answer is handed over."""
        self.open = False
        self.waiting.clear()

    def _next(self, lane):
        line = self.waiting.get(lane)
        if lane in self.running or not line:
            return
        work, done = line.pop(0)

        def finished(result, error):
            self.running.pop(lane, None)
            if not self.open:
                return
            try:
                done(result, error)
            finally:
                self._next(lane)

        task = _Task(f"TerraClick: {lane}", work, finished)
        self.running[lane] = task  # Python must hold it until it is finished
        manager().addTask(task)
