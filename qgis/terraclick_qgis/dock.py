# SPDX-License-Identifier: GPL-2.0-or-later
"""The panel: layers, classes, shape, examples, review, server."""

import os

from qgis.core import QgsApplication, QgsMapLayerProxyModel, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDockWidget,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from . import diagnostics, results, settings
from .client import Failure, parse_address
from .i18n import tr
from .server import Installer

SHAPE_MS = 200
AS_NEEDED = -1  # of the slider for simplifying: as few corners as the outline needs


class MappingDialog(QDialog):
    """Which field of a layer takes what is told of an object."""

    def __init__(self, layer, parent=None):
        super().__init__(parent)
        self.layer = layer
        self.setWindowTitle(tr("Fields of {}").format(layer.name()))
        form = QFormLayout(self)
        mapping = results.mapping_of(layer)
        self.boxes = {}
        for told in results.FIELDS:
            box = QComboBox()
            box.addItem("", "")
            for field in layer.fields():
                box.addItem(field.name(), field.name())
            box.setCurrentIndex(max(0, box.findData(mapping.get(told, ""))))
            self.boxes[told] = box
            form.addRow(told, box)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)

    def accept(self):
        results.choose_mapping(self.layer, {told: box.currentData() for told, box in self.boxes.items()})
        super().accept()


class Dock(QDockWidget):
    """The panel of a controller."""

    def __init__(self, controller, activate, parent=None):
        super().__init__("TerraClick", parent)
        self.setObjectName("TerraClickDock")
        self.controller = controller
        self.activate = activate
        self.installer = Installer(self)
        self.installer.progress.connect(self._progress)
        self.installer.finished.connect(self._installed)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(6, 6, 6, 6)
        for part in (self._layers(), self._outline(), self._examples(), self._review(), self._server()):
            column.addWidget(part)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inside)
        scroll.setMinimumWidth(inside.minimumSizeHint().width() + 20)
        self.setWidget(scroll)
        self.shape_timer = QTimer(self)
        self.shape_timer.setSingleShot(True)
        self.shape_timer.timeout.connect(self._send_shape)
        controller.changed.connect(self.refresh)
        self._image_chosen(self.image.currentLayer())
        self._target_chosen(self.target.currentLayer())
        self.refresh()

    @staticmethod
    def _button(text, act, tip=""):
        button = QPushButton(text)
        button.clicked.connect(lambda checked=False: act())
        button.setToolTip(tip)
        return button

    def _layers(self):
        box = QGroupBox(tr("Layers"))
        form = QFormLayout(box)
        self.image = QgsMapLayerComboBox()
        self.image.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.image.layerChanged.connect(self._image_chosen)
        self.target = QgsMapLayerComboBox()
        self.target.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.target.setAllowEmptyLayer(True)
        self.target.layerChanged.connect(self._target_chosen)
        form.addRow(tr("Image"), self.image)
        form.addRow(tr("Polygons"), self.target)
        row = QHBoxLayout()
        row.addWidget(self._button(tr("New…"), self.new_target, tr("A new GeoPackage for the polygons")))
        row.addWidget(self._button(tr("Fields…"), self._fields, tr("Which field takes what")))
        form.addRow(row)
        self.gsd = QDoubleSpinBox()
        self.gsd.setDecimals(2)
        self.gsd.setRange(0.01, 1000)
        self.gsd.setSuffix(" m")
        self.gsd.setValue(settings.get("online_gsd"))
        self.gsd.setToolTip(tr("Online layers are drawn for the model at this ground resolution, whatever the zoom."))
        self.gsd.valueChanged.connect(lambda value: settings.put("online_gsd", value))
        form.addRow(tr("Online layers at"), self.gsd)
        form.addRow(self._check("use_renderer", tr("Bands and stretch as displayed")))
        form.addRow(self._check("save_each", tr("Save the layer after every object")))
        return box

    @staticmethod
    def _number(name, unit, least, most):
        box = QSpinBox()
        box.setObjectName(name)
        box.setRange(least, most)
        box.setSuffix(unit)
        box.setValue(settings.get(name))
        box.valueChanged.connect(lambda value: settings.put(name, value))
        box.setToolTip(tr("From the next start of the server on; the longest unused go first."))
        return box

    @staticmethod
    def _check(name, text):
        box = QCheckBox(text)
        box.setObjectName(name)
        box.setChecked(settings.get(name))
        box.toggled.connect(lambda on: settings.put(name, on))
        return box

    def _outline(self):
        box = QGroupBox(tr("Outline"))
        column = QVBoxLayout(box)
        column.addWidget(self._button(tr("Click on the map"), self.activate))
        form = QFormLayout()
        self.class_box = QComboBox()
        self.class_box.setEditable(True)
        self.class_box.currentTextChanged.connect(self._class_chosen)
        form.addRow(tr("Class (1–9)"), self.class_box)
        self.target_box = QComboBox()
        self.target_box.addItem(tr("This object"), "object")
        self.target_box.addItem(tr("Everything like it"), "class")
        self.target_box.activated.connect(self._what_chosen)
        form.addRow(tr("Outline (Tab)"), self.target_box)
        self.simplify = QSlider(Qt.Orientation.Horizontal)
        self.simplify.setRange(AS_NEEDED, 50)
        self.simplify.setValue(AS_NEEDED)
        self.simplify_label = QLabel(tr("As needed"))
        self.simplify.valueChanged.connect(self._shape_moved)
        row = QHBoxLayout()
        row.addWidget(self.simplify)
        row.addWidget(self.simplify_label)
        form.addRow(tr("Simplify"), row)
        self.square = QCheckBox(tr("Right angles"))
        self.square.toggled.connect(self._shape_moved)
        form.addRow(self.square)
        form.addRow(self._check("preview", tr("Preview under the mouse")))
        column.addLayout(form)
        self.told = QLabel("")
        self.told.setWordWrap(True)
        self.told.setMinimumHeight(34)
        column.addWidget(self.told)
        grid = QGridLayout()
        control = self.controller
        for index, (text, act) in enumerate(
            (
                (tr("Keep (Enter)"), control.accept),
                (tr("Give up (Esc)"), control.escape),
                (tr("Undo (Ctrl+Z)"), control.undo),
                (tr("Redo (Ctrl+Y)"), control.redo),
                (tr("Correct selected (R)"), control.reopen_selected),
            )
        ):
            grid.addWidget(self._button(text, act), index // 2, index % 2)
        column.addLayout(grid)
        return box

    def _examples(self):
        box = QGroupBox(tr("Examples"))
        grid = QGridLayout(box)
        control = self.controller
        grid.addWidget(self._button(tr("Like this"), lambda: control.add_example(True)), 0, 0)
        grid.addWidget(self._button(tr("Not like this"), lambda: control.add_example(False)), 0, 1)
        grid.addWidget(self._button(tr("Find the rest (F)"), control.find_rest), 1, 0)
        self.keep_all = self._button(tr("Keep all"), control.keep_all)
        grid.addWidget(self.keep_all, 1, 1)
        self.yes = self._button(tr("Yes (Y)"), lambda: control.answer(True))
        self.no = self._button(tr("No (N)"), lambda: control.answer(False))
        grid.addWidget(self.yes, 2, 0)
        grid.addWidget(self.no, 2, 1)
        return box

    def _review(self):
        box = QGroupBox(tr("Review"))
        row = QHBoxLayout(box)
        control = self.controller
        row.addWidget(self._button(tr("Least certain"), control.review_next))
        row.addWidget(self._button(tr("Approve"), lambda: control.judge("approved")))
        row.addWidget(self._button(tr("Reject"), lambda: control.judge("rejected")))
        return box

    def _server(self):
        box = QGroupBox(tr("Server"))
        column = QVBoxLayout(box)
        self.state = QLabel("")
        self.state.setWordWrap(True)
        column.addWidget(self.state)
        form = QFormLayout()
        self.address = QLineEdit(settings.get("address"))
        self.address.setPlaceholderText(tr("empty: a server of your own"))
        self.address.editingFinished.connect(self._address_given)
        self.token = QLineEdit(settings.token() if settings.get("address") else "")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.editingFinished.connect(self._address_given)
        form.addRow(tr("Address"), self.address)
        form.addRow(tr("Token"), self.token)
        self.executable = QLineEdit(settings.get("executable"))
        self.executable.setPlaceholderText(tr("found by itself"))
        self.executable.editingFinished.connect(lambda: settings.put("executable", self.executable.text().strip()))
        form.addRow(tr("Program"), self.executable)
        self.wheels = QLineEdit(settings.get("wheels"))
        self.wheels.setPlaceholderText(tr("folder of wheels, without a network"))
        self.wheels.editingFinished.connect(lambda: settings.put("wheels", self.wheels.text().strip()))
        form.addRow(tr("Wheels"), self.wheels)
        row = QHBoxLayout()
        row.addWidget(self._number("window_mb", " MB", 10, 1_000_000))
        row.addWidget(self._number("window_days", tr(" days"), 0, 10_000))
        form.addRow(tr("Keep sent pixels"), row)
        column.addLayout(form)
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.hide()
        self.bar_text = QLabel("")
        self.bar_text.setWordWrap(True)
        self.bar_text.hide()
        column.addWidget(self.bar)
        column.addWidget(self.bar_text)
        grid = QGridLayout()
        grid.addWidget(self._button(tr("Connect"), self._connect), 0, 0)
        self.install = self._button(tr("Install"), self._install)
        grid.addWidget(self.install, 0, 1)
        grid.addWidget(self._button(tr("Diagnostics report"), self.copy_report), 1, 0, 1, 2)
        column.addLayout(grid)
        return box

    # -- what is chosen

    def _image_chosen(self, layer):
        self.controller.image_layer_id = "" if layer is None else layer.id()

    def _target_chosen(self, layer):
        self.controller.target_layer_id = "" if layer is None else layer.id()

    def _class_chosen(self, text):
        text = text.strip()
        if text != self.controller.class_name:
            self.controller.set_class(text)

    def _what_chosen(self, index):
        if self.target_box.itemData(index) != self.controller.target:
            self.controller.switch_target()

    def _shape_moved(self, *_):
        tolerance = self._tolerance()
        self.simplify_label.setText(tr("As needed") if tolerance is None else f"{tolerance:.1f} m")
        self.shape_timer.start(SHAPE_MS)

    def _send_shape(self):
        self.controller.set_shape(self._tolerance(), self.square.isChecked())

    def _tolerance(self):
        """Metres to simplify by; None: as few corners as the outline needs."""
        value = self.simplify.value()
        return None if value == AS_NEEDED else value / 10

    def _fields(self):
        layer = self.target.currentLayer()
        if isinstance(layer, QgsVectorLayer):
            MappingDialog(layer, self).exec()

    def new_target(self, path=None):
        """Make a GeoPackage for polygons in the image's coordinate system and choose it."""
        if path is None:
            path, _ = QFileDialog.getSaveFileName(self, tr("Polygons"), results.default_path(), "GeoPackage (*.gpkg)")
        if not path:
            return
        path = path if path.lower().endswith(".gpkg") else f"{path}.gpkg"
        image = self.image.currentLayer()
        crs = QgsProject.instance().crs() if image is None else image.crs()
        try:
            layer = results.new_layer(path, crs)
        except Failure as error:
            self.controller.said.emit(str(error), "Critical")
            return
        QgsProject.instance().addMapLayer(layer)
        self.target.setLayer(layer)

    def _address_given(self):
        text, token = self.address.text().strip(), self.token.text().strip()
        try:
            base, inside = parse_address(text) if text else ("", "")
        except Failure as error:
            self.controller.said.emit(str(error), "Warning")
            return
        if inside:
            token = inside
        if (base, token) != (settings.get("address"), settings.token()):
            settings.put("address", base)
            if not settings.put_token(token) and token:
                note = tr(
                    "The token lies in QGIS's settings as plain text; with a master password in QGIS it is encrypted."
                )
                self.controller.said.emit(note, "Info")
            self.address.setText(base)
            self.token.setText(token)
            self.controller.disconnect_server()

    def _connect(self):
        self._address_given()
        self.controller.quick_deaths = 0
        self.controller.resume()

    def _install(self):
        if self.installer.running:
            self.installer.cancel()
            return
        if not settings.get("address"):
            self.controller.disconnect_server()  # a server of the old environment would hold its files
        self.install.setText(tr("Cancel"))
        self.bar.show()
        self.bar_text.show()
        self.bar_text.setText(tr("Installing into an environment of its own…"))
        self.installer.start(settings.get("wheels"))

    def _progress(self, line):
        self.bar_text.setText(line[:200])

    def _installed(self, error):
        self.install.setText(tr("Install"))
        self.bar.hide()
        self.bar_text.hide()
        if error:
            self.controller.said.emit(error, "Critical")
        else:
            self.controller.said.emit(tr("TerraClick is installed."), "Success")
            if not os.path.isfile(settings.get("executable")):
                settings.put("executable", "")
                self.executable.clear()
            self._connect()

    def copy_report(self):
        """The report to the clipboard."""
        QgsApplication.clipboard().setText(diagnostics.report(self.controller))
        self.controller.said.emit(tr("The report is in the clipboard."), "Success")

    # -- what is shown

    def refresh(self):
        """Show how things stand."""
        control = self.controller
        names = [self.class_box.itemData(index) for index in range(self.class_box.count())]
        self.class_box.blockSignals(True)
        if names != control.classes:
            self.class_box.clear()
            for name in control.classes:
                self.class_box.addItem(name, name)
        if self.class_box.currentText().strip() != control.class_name:
            self.class_box.setCurrentText(control.class_name)
        self.class_box.blockSignals(False)
        self.target_box.setCurrentIndex(self.target_box.findData(control.target))
        wanted = control.target_layer()
        if self.target.currentLayer() is not wanted:
            self.target.setLayer(wanted)
        self.told.setText(self._outline_text())
        self.state.setText(self._server_text())
        for button in (self.yes, self.no):
            button.setEnabled(bool(control.proposals) or control.hint() is not None)
        self.keep_all.setEnabled(bool(control.proposals))

    def _outline_text(self):
        control = self.controller
        if control.proposals:
            return tr("{} proposals: keep this one?").format(len(control.proposals))
        if control.stalled or (control.acts and control.client is None):
            return tr("Waiting for the server; your clicks are kept.")
        if control.acts:
            return tr("Asking the model…")
        shown = control.shown
        if not shown:
            return tr("Left click: this too. Right click: not this.")
        if shown.get("empty"):
            return tr("Nothing is outlined: click on the thing.")
        area = shown.get("area_m2")
        size = f"{area:.1f} m²" if area is not None else f"{shown['area_px']:.0f} px"
        return tr("{} · certainty {} %").format(size, round(100 * shown["score"]))

    def _server_text(self):
        control = self.controller
        if control.server_state:
            where = tr("of your own") if control.server.running else settings.get("address")
            return tr("Version {}, model {}, {}").format(
                control.server_state["version"], control.server_state["model"]["name"], where
            )
        return tr("Starting…") if control.connecting else control.trouble or tr("Not connected.")
