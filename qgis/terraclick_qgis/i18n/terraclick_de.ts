<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
<name>TerraClick</name>
<message>
<source>The server has stopped; it is started again. Nothing is lost.</source>
<translation>Der Server ist stehen geblieben und wird neu gestartet. Nichts geht verloren.</translation>
</message>
<message>
<source>There is no click to take back.</source>
<translation>Es gibt keinen Klick zum Zurücknehmen.</translation>
</message>
<message>
<source>This object has no outline to correct.</source>
<translation>Dieses Objekt hat keinen Umriss, der sich verbessern ließe.</translation>
</message>
<message>
<source>There is no outline to keep: click on the thing first.</source>
<translation>Es gibt keinen Umriss zum Behalten: zuerst auf das Ding klicken.</translation>
</message>
<message>
<source>Correct an object</source>
<translation>Objekt verbessern</translation>
</message>
<message>
<source>Add an object</source>
<translation>Objekt hinzufügen</translation>
</message>
<message>
<source>Select one object in the layer of polygons, then correct it.</source>
<translation>Ein Objekt im Polygonlayer auswählen, dann verbessern.</translation>
</message>
<message>
<source>Keep the outline at hand first (Enter), or give it up (Esc).</source>
<translation>Zuerst den jetzigen Umriss behalten (Enter) oder aufgeben (Esc).</translation>
</message>
<message>
<source>Select one object in the layer of polygons, or click on a thing, to make an example of it.</source>
<translation>Für ein Beispiel ein Objekt im Polygonlayer auswählen oder auf ein Ding klicken.</translation>
</message>
<message>
<source>The layer needs fields for score and status to be reviewed.</source>
<translation>Zum Durchsehen braucht der Layer Felder für Sicherheit und Status.</translation>
</message>
<message>
<source>Every object has been judged.</source>
<translation>Alle Objekte sind beurteilt.</translation>
</message>
<message>
<source>The image layer was removed; the outline stays, press Enter to keep it.</source>
<translation>Der Bildlayer wurde entfernt; der Umriss bleibt, Enter behält ihn.</translation>
</message>
<message>
<source>The layer for the polygons was removed: choose another one; the outline stays.</source>
<translation>Der Polygonlayer wurde entfernt: einen anderen wählen; der Umriss bleibt.</translation>
</message>
<message>
<source>This place does not exist in the image's coordinate system.</source>
<translation>Diesen Ort gibt es im Koordinatensystem des Bildes nicht.</translation>
</message>
<message>
<source>Something went wrong: {}</source>
<translation>Etwas ist schiefgegangen: {}</translation>
</message>
<message>
<source>The image layer was removed.</source>
<translation>Der Bildlayer wurde entfernt.</translation>
</message>
<message>
<source>Outside the window drawn for this outline: keep it first, or set a coarser resolution.</source>
<translation>Außerhalb des Fensters, das für diesen Umriss gezeichnet wurde: zuerst behalten oder eine gröbere Auflösung einstellen.</translation>
</message>
<message>
<source>Polygons go to the new file {}.</source>
<translation>Polygone kommen in die neue Datei {}.</translation>
</message>
<message>
<source>This place lies outside the image {}.</source>
<translation>Dieser Ort liegt außerhalb des Bildes {}.</translation>
</message>
<message>
<source>Kept as an example of {}.</source>
<translation>Als Beispiel für {} behalten.</translation>
</message>
<message>
<source>Nothing else in view looks like the examples of {}.</source>
<translation>Nichts weiter im Ausschnitt gleicht den Beispielen für {}.</translation>
</message>
<message>
<source>The layer {} could not be drawn: is its server reachable?</source>
<translation>Der Layer {} ließ sich nicht zeichnen: ist sein Server erreichbar?</translation>
</message>
<message>
<source>Layers</source>
<translation>Layer</translation>
</message>
<message>
<source>Image</source>
<translation>Bild</translation>
</message>
<message>
<source>Polygons</source>
<translation>Polygone</translation>
</message>
<message>
<source>Online layers are drawn for the model at this ground resolution, whatever the zoom.</source>
<translation>Online-Layer werden für das Modell in dieser Bodenauflösung gezeichnet, gleich bei welchem Maßstab.</translation>
</message>
<message>
<source>Online layers at</source>
<translation>Online-Layer mit</translation>
</message>
<message>
<source>Outline</source>
<translation>Umriss</translation>
</message>
<message>
<source>Class (1–9)</source>
<translation>Klasse (1–9)</translation>
</message>
<message>
<source>This object</source>
<translation>Dieses Objekt</translation>
</message>
<message>
<source>Everything like it</source>
<translation>Alles dergleichen</translation>
</message>
<message>
<source>Outline (Tab)</source>
<translation>Umriss (Tab)</translation>
</message>
<message>
<source>Simplify</source>
<translation>Vereinfachen</translation>
</message>
<message>
<source>Right angles</source>
<translation>Rechte Winkel</translation>
</message>
<message>
<source>Examples</source>
<translation>Beispiele</translation>
</message>
<message>
<source>Keep all</source>
<translation>Alle behalten</translation>
</message>
<message>
<source>Yes (Y)</source>
<translation>Ja (Y)</translation>
</message>
<message>
<source>No (N)</source>
<translation>Nein (N)</translation>
</message>
<message>
<source>Review</source>
<translation>Durchsicht</translation>
</message>
<message>
<source>Server</source>
<translation>Server</translation>
</message>
<message>
<source>empty: a server of your own</source>
<translation>leer: ein eigener Server</translation>
</message>
<message>
<source>Address</source>
<translation>Adresse</translation>
</message>
<message>
<source>Token</source>
<translation>Token</translation>
</message>
<message>
<source>found by itself</source>
<translation>wird selbst gefunden</translation>
</message>
<message>
<source>Program</source>
<translation>Programm</translation>
</message>
<message>
<source>folder of wheels, without a network</source>
<translation>Ordner mit Wheels, ohne Netz</translation>
</message>
<message>
<source>Wheels</source>
<translation>Wheels</translation>
</message>
<message>
<source>Installing into an environment of its own…</source>
<translation>Wird in eine eigene Umgebung installiert …</translation>
</message>
<message>
<source>The report is in the clipboard.</source>
<translation>Der Bericht liegt in der Zwischenablage.</translation>
</message>
<message>
<source>Waiting for the server; your clicks are kept.</source>
<translation>Warten auf den Server; die Klicks bleiben erhalten.</translation>
</message>
<message>
<source>Asking the model…</source>
<translation>Das Modell wird gefragt …</translation>
</message>
<message>
<source>Left click: this too. Right click: not this.</source>
<translation>Linksklick: das auch. Rechtsklick: das nicht.</translation>
</message>
<message>
<source>Nothing is outlined: click on the thing.</source>
<translation>Nichts ist umrissen: auf das Ding klicken.</translation>
</message>
<message>
<source>Starting…</source>
<translation>Wird gestartet …</translation>
</message>
<message>
<source>Not connected.</source>
<translation>Nicht verbunden.</translation>
</message>
<message>
<source>New…</source>
<translation>Neu …</translation>
</message>
<message>
<source>A new GeoPackage for the polygons</source>
<translation>Ein neues GeoPackage für die Polygone</translation>
</message>
<message>
<source>Fields…</source>
<translation>Felder …</translation>
</message>
<message>
<source>Which field takes what</source>
<translation>Welches Feld was aufnimmt</translation>
</message>
<message>
<source>Bands and stretch as displayed</source>
<translation>Kanäle und Streckung wie angezeigt</translation>
</message>
<message>
<source>Save the layer after every object</source>
<translation>Layer nach jedem Objekt speichern</translation>
</message>
<message>
<source>Click on the map</source>
<translation>In die Karte klicken</translation>
</message>
<message>
<source>Preview under the mouse</source>
<translation>Vorschau unter der Maus</translation>
</message>
<message>
<source>Like this</source>
<translation>So wie dies</translation>
</message>
<message>
<source>Not like this</source>
<translation>Nicht wie dies</translation>
</message>
<message>
<source>Find the rest (F)</source>
<translation>Den Rest finden (F)</translation>
</message>
<message>
<source>Least certain</source>
<translation>Unsicherstes</translation>
</message>
<message>
<source>Approve</source>
<translation>Gutheißen</translation>
</message>
<message>
<source>Reject</source>
<translation>Ablehnen</translation>
</message>
<message>
<source>Connect</source>
<translation>Verbinden</translation>
</message>
<message>
<source>Install</source>
<translation>Installieren</translation>
</message>
<message>
<source>Diagnostics report</source>
<translation>Diagnosebericht</translation>
</message>
<message>
<source>TerraClick is installed.</source>
<translation>TerraClick ist installiert.</translation>
</message>
<message>
<source>{} · certainty {} %</source>
<translation>{} · Sicherheit {} %</translation>
</message>
<message>
<source>of your own</source>
<translation>der eigene</translation>
</message>
<message>
<source>Fields of {}</source>
<translation>Felder von {}</translation>
</message>
<message>
<source>Keep (Enter)</source>
<translation>Behalten (Enter)</translation>
</message>
<message>
<source>Give up (Esc)</source>
<translation>Aufgeben (Esc)</translation>
</message>
<message>
<source>Undo (Ctrl+Z)</source>
<translation>Zurück (Strg+Z)</translation>
</message>
<message>
<source>Redo (Ctrl+Y)</source>
<translation>Wieder (Strg+Y)</translation>
</message>
<message>
<source>Correct selected (R)</source>
<translation>Auswahl verbessern (R)</translation>
</message>
<message>
<source>{} proposals: keep this one?</source>
<translation>{} Vorschläge: diesen behalten?</translation>
</message>
<message>
<source>Version {}, model {}, {}</source>
<translation>Version {}, Modell {}, {}</translation>
</message>
<message>
<source>Outline things at points</source>
<translation>Dinge an Punkten umreißen</translation>
</message>
<message>
<source>Every point is a click on the image. Points with the same value of the object field belong to one thing; without that field each point is a thing of its own. A point whose include field is 0 or false excludes.</source>
<translation>Jeder Punkt ist ein Klick ins Bild. Punkte mit gleichem Wert im Objektfeld gehören zu einem Ding; ohne dieses Feld ist jeder Punkt ein eigenes. Ein Punkt, dessen Einschlussfeld 0 oder falsch ist, schließt aus.</translation>
</message>
<message>
<source>Class map</source>
<translation>Klassenkarte</translation>
</message>
<message>
<source>Names every pixel of an image, or of an extent of it, with a map model of TerraClick (`terraclick models`).</source>
<translation>Benennt jedes Pixel eines Bildes oder Ausschnitts mit einem Kartenmodell von TerraClick (`terraclick models`).</translation>
</message>
<message>
<source>Replay a session</source>
<translation>Sitzung wiederholen</translation>
</message>
<message>
<source>Answers the clicks of a TerraClick session again and measures how good they were (NoC, IoU).</source>
<translation>Beantwortet die Klicks einer TerraClick-Sitzung noch einmal und misst, wie gut sie waren (NoC, IoU).</translation>
</message>
<message>
<source>Export a session</source>
<translation>Sitzung exportieren</translation>
</message>
<message>
<source>Writes the objects of a TerraClick session for other programs, all images together.</source>
<translation>Schreibt die Objekte einer TerraClick-Sitzung für andere Programme, alle Bilder zusammen.</translation>
</message>
<message>
<source>Points</source>
<translation>Punkte</translation>
</message>
<message>
<source>Field that tells things apart</source>
<translation>Feld, das die Dinge unterscheidet</translation>
</message>
<message>
<source>Field that says include or not</source>
<translation>Feld, das einschließt oder ausschließt</translation>
</message>
<message>
<source>Class</source>
<translation>Klasse</translation>
</message>
<message>
<source>An image and points are needed.</source>
<translation>Ein Bild und Punkte werden gebraucht.</translation>
</message>
<message>
<source>Map model: a name, or the folder of your own</source>
<translation>Kartenmodell: ein Name oder der Ordner eines eigenen</translation>
</message>
<message>
<source>Extent</source>
<translation>Ausdehnung</translation>
</message>
<message>
<source>An image file is needed.</source>
<translation>Eine Bilddatei wird gebraucht.</translation>
</message>
<message>
<source>Session</source>
<translation>Sitzung</translation>
</message>
<message>
<source>Model</source>
<translation>Modell</translation>
</message>
<message>
<source>Figures</source>
<translation>Zahlen</translation>
</message>
<message>
<source>Objects</source>
<translation>Objekte</translation>
</message>
<message>
<source>Mean IoU</source>
<translation>Mittlere IoU</translation>
</message>
<message>
<source>Formats</source>
<translation>Formate</translation>
</message>
<message>
<source>Folder</source>
<translation>Ordner</translation>
</message>
<message>
<source>A server elsewhere cannot open files of this machine: leave the address empty.</source>
<translation>Ein entfernter Server kann Dateien dieses Rechners nicht öffnen: die Adresse leer lassen.</translation>
</message>
<message>
<source>The layer {} is no image file: use the map tool for online layers.</source>
<translation>Der Layer {} ist keine Bilddatei: für Online-Layer das Kartenwerkzeug nehmen.</translation>
</message>
<message>
<source>{}: nothing was outlined.</source>
<translation>{}: nichts wurde umrissen.</translation>
</message>
<message>
<source>TerraClick is not installed: press Install in the TerraClick panel, or set its path.</source>
<translation>TerraClick ist nicht installiert: im TerraClick-Fenster auf Installieren drücken oder den Pfad angeben.</translation>
</message>
<message>
<source>The TerraClick program cannot be started: check its path in the TerraClick panel.</source>
<translation>Das Programm TerraClick lässt sich nicht starten: den Pfad im TerraClick-Fenster prüfen.</translation>
</message>
<message>
<source>Cancelled.</source>
<translation>Abgebrochen.</translation>
</message>
<message>
<source>The TerraClick program failed.</source>
<translation>Das Programm TerraClick ist gescheitert.</translation>
</message>
<message>
<source>The TerraClick program answered something else than expected.</source>
<translation>Das Programm TerraClick antwortete anders als erwartet.</translation>
</message>
<message>
<source>The TerraClick server did not start. {}</source>
<translation>Der TerraClick-Server ist nicht gestartet. {}</translation>
</message>
<message>
<source>Judge objects</source>
<translation>Objekte beurteilen</translation>
</message>
<message>
<source>Choose a layer for the polygons in the TerraClick panel first.</source>
<translation>Zuerst im TerraClick-Fenster einen Layer für die Polygone wählen.</translation>
</message>
<message>
<source>The layer for the polygons cannot be used any more: choose another one.</source>
<translation>Der Polygonlayer ist nicht mehr brauchbar: einen anderen wählen.</translation>
</message>
<message>
<source>The outline has no place in the layer's coordinate system.</source>
<translation>Der Umriss hat im Koordinatensystem des Layers keinen Ort.</translation>
</message>
<message>
<source>The layer {} holds no polygons: choose another one.</source>
<translation>Der Layer {} enthält keine Polygone: einen anderen wählen.</translation>
</message>
<message>
<source>The layer {} holds lines, and clicks make areas: choose another one.</source>
<translation>Der Layer {} enthält Linien, Klicks ergeben Flächen: wählen Sie einen anderen.</translation>
</message>
<message>
<source>The layer {} holds points, and clicks make areas: choose another one.</source>
<translation>Der Layer {} enthält Punkte, Klicks ergeben Flächen: wählen Sie einen anderen.</translation>
</message>
<message>
<source>This object is a line or a point: select an area, for clicks know areas alone.</source>
<translation>Dieses Objekt ist eine Linie oder ein Punkt: wählen Sie eine Fläche, denn Klicks gelten nur für Flächen.</translation>
</message>
<message>
<source>The file of the layer {} is gone: choose another one.</source>
<translation>Die Datei des Layers {} ist nicht mehr da: einen anderen wählen.</translation>
</message>
<message>
<source>The layer {} is read-only: choose another one.</source>
<translation>Der Layer {} ist schreibgeschützt: einen anderen wählen.</translation>
</message>
<message>
<source>The layer {} cannot be edited now: is it locked by another program?</source>
<translation>Der Layer {} lässt sich jetzt nicht bearbeiten: hält ihn ein anderes Programm?</translation>
</message>
<message>
<source>The layer {} did not take the polygon.</source>
<translation>Der Layer {} hat das Polygon nicht angenommen.</translation>
</message>
<message>
<source>The layer {} could not be saved; its changes stay in QGIS. {}</source>
<translation>Der Layer {} ließ sich nicht speichern; die Änderungen bleiben in QGIS. {}</translation>
</message>
<message>
<source>The file {} cannot be written: {}</source>
<translation>Die Datei {} lässt sich nicht schreiben: {}</translation>
</message>
<message>
<source>The TerraClick server did not answer within {} s.</source>
<translation>Der TerraClick-Server hat nicht innerhalb von {} s geantwortet.</translation>
</message>
<message>
<source>No Python {} or newer was found: install one, then press Install again.</source>
<translation>Kein Python {} oder neuer gefunden: eines installieren, dann wieder auf Installieren drücken.</translation>
</message>
<message>
<source>The folder of wheel files {} does not exist.</source>
<translation>Den Ordner mit Wheels {} gibt es nicht.</translation>
</message>
<message>
<source>Python cannot be started: {}</source>
<translation>Python lässt sich nicht starten: {}</translation>
</message>
<message>
<source>The installation failed: {}</source>
<translation>Die Installation ist gescheitert: {}</translation>
</message>
<message>
<source>The TerraClick server has stopped. {}</source>
<translation>Der TerraClick-Server ist stehen geblieben. {}</translation>
</message>
<message>
<source>Choose an image layer in the TerraClick panel first.</source>
<translation>Zuerst im TerraClick-Fenster einen Bildlayer wählen.</translation>
</message>
<message>
<source>The layer {} shows no image: choose a raster layer.</source>
<translation>Der Layer {} zeigt kein Bild: einen Rasterlayer wählen.</translation>
</message>
<message>
<source>Cancel</source>
<translation>Abbrechen</translation>
</message>
<message>
<source>QGIS does not trust the certificate of the package index; add its authority to QGIS</source>
<translation>QGIS vertraut dem Zertifikat des Paketverzeichnisses nicht; dessen Zertifizierungsstelle in QGIS eintragen</translation>
</message>
<message>
<source>The installation was cancelled.</source>
<translation>Die Installation wurde abgebrochen.</translation>
</message>
<message>
<source>The proxy of QGIS is a SOCKS proxy, which pip cannot use: give a folder of wheels instead.</source>
<translation>Der Proxy von QGIS ist ein SOCKS-Proxy, den pip nicht verwenden kann: stattdessen einen Ordner mit Wheel-Dateien angeben.</translation>
</message>
<message>
<source>its Python cannot make environments; on Debian and Ubuntu, install python3-venv</source>
<translation>das gefundene Python kann keine Umgebungen anlegen; unter Debian und Ubuntu python3-venv installieren</translation>
</message>
<message>
<source>the proxy refuses; check the proxy in QGIS's options</source>
<translation>der Proxy lehnt ab; die Proxy-Einstellungen von QGIS prüfen</translation>
</message>
<message>
<source> days</source>
<translation> Tage</translation>
</message>
<message>
<source>From the next start of the server on; the longest unused go first.</source>
<translation>Ab dem nächsten Start des Servers; die am längsten unbenutzten gehen zuerst.</translation>
</message>
<message>
<source>Keep sent pixels</source>
<translation>Gesendete Pixel behalten</translation>
</message>
<message>
<source>The token lies in QGIS's settings as plain text; with a master password in QGIS it is encrypted.</source>
<translation>Der Token liegt als Klartext in den Einstellungen von QGIS; mit einem Hauptpasswort in QGIS wird er verschlüsselt.</translation>
</message>
<message>
<source>The outline lies within other objects, and this project avoids overlaps: nothing of it is left.</source>
<translation>Der Umriss liegt innerhalb anderer Objekte, und dieses Projekt vermeidet Überlappungen: es bleibt nichts übrig.</translation>
</message>
<message>
<source>Kept as a counter-example of {}.</source>
<translation>Als Gegenbeispiel für {} behalten.</translation>
</message>
<message>
<source>As needed</source>
<translation>Nach Bedarf</translation>
</message>
<message>
<source>Simplify (m); empty: as needed</source>
<translation>Vereinfachen (m); leer: nach Bedarf</translation>
</message>
</context>
</TS>
