<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="fr" sourcelanguage="en">
<context>
<name>TerraClick</name>
<message>
<source>The server has stopped; it is started again. Nothing is lost.</source>
<translation>Le serveur s’est arrêté ; il redémarre. Rien n’est perdu.</translation>
</message>
<message>
<source>There is no click to take back.</source>
<translation>Il n’y a aucun clic à annuler.</translation>
</message>
<message>
<source>This object has no outline to correct.</source>
<translation>Cet objet n’a pas de contour à corriger.</translation>
</message>
<message>
<source>There is no outline to keep: click on the thing first.</source>
<translation>Il n’y a pas de contour à garder : cliquez d’abord sur l’objet.</translation>
</message>
<message>
<source>Correct an object</source>
<translation>Corriger un objet</translation>
</message>
<message>
<source>Add an object</source>
<translation>Ajouter un objet</translation>
</message>
<message>
<source>Select one object in the layer of polygons, then correct it.</source>
<translation>Sélectionnez un objet dans la couche de polygones, puis corrigez-le.</translation>
</message>
<message>
<source>Keep the outline at hand first (Enter), or give it up (Esc).</source>
<translation>Gardez d’abord le contour en cours (Entrée) ou abandonnez-le (Échap).</translation>
</message>
<message>
<source>Select one object in the layer of polygons, or click on a thing, to make an example of it.</source>
<translation>Pour un exemple, sélectionnez un objet dans la couche de polygones ou cliquez sur un objet.</translation>
</message>
<message>
<source>The layer needs fields for score and status to be reviewed.</source>
<translation>Pour la relecture, la couche doit avoir des champs pour le score et le statut.</translation>
</message>
<message>
<source>Every object has been judged.</source>
<translation>Tous les objets ont été jugés.</translation>
</message>
<message>
<source>The image layer was removed; the outline stays, press Enter to keep it.</source>
<translation>La couche image a été retirée ; le contour reste, Entrée le garde.</translation>
</message>
<message>
<source>The layer for the polygons was removed: choose another one; the outline stays.</source>
<translation>La couche de polygones a été retirée : choisissez-en une autre ; le contour reste.</translation>
</message>
<message>
<source>This place does not exist in the image's coordinate system.</source>
<translation>Ce lieu n’existe pas dans le système de coordonnées de l’image.</translation>
</message>
<message>
<source>Something went wrong: {}</source>
<translation>Une erreur est survenue : {}</translation>
</message>
<message>
<source>The image layer was removed.</source>
<translation>La couche image a été retirée.</translation>
</message>
<message>
<source>Outside the window drawn for this outline: keep it first, or set a coarser resolution.</source>
<translation>Hors de la fenêtre dessinée pour ce contour : gardez-le d’abord ou choisissez une résolution plus grossière.</translation>
</message>
<message>
<source>Polygons go to the new file {}.</source>
<translation>Les polygones vont dans le nouveau fichier {}.</translation>
</message>
<message>
<source>This place lies outside the image {}.</source>
<translation>Ce lieu est en dehors de l’image {}.</translation>
</message>
<message>
<source>Kept as an example of {}.</source>
<translation>Gardé comme exemple de {}.</translation>
</message>
<message>
<source>Nothing else in view looks like the examples of {}.</source>
<translation>Rien d’autre dans la vue ne ressemble aux exemples de {}.</translation>
</message>
<message>
<source>The layer {} could not be drawn: is its server reachable?</source>
<translation>La couche {} n’a pas pu être dessinée : son serveur est-il joignable ?</translation>
</message>
<message>
<source>Layers</source>
<translation>Couches</translation>
</message>
<message>
<source>Image</source>
<translation>Image</translation>
</message>
<message>
<source>Polygons</source>
<translation>Polygones</translation>
</message>
<message>
<source>Online layers are drawn for the model at this ground resolution, whatever the zoom.</source>
<translation>Les couches en ligne sont dessinées pour le modèle à cette résolution au sol, quel que soit le zoom.</translation>
</message>
<message>
<source>Online layers at</source>
<translation>Couches en ligne à</translation>
</message>
<message>
<source>Outline</source>
<translation>Contour</translation>
</message>
<message>
<source>Class (1–9)</source>
<translation>Classe (1–9)</translation>
</message>
<message>
<source>This object</source>
<translation>Cet objet</translation>
</message>
<message>
<source>Everything like it</source>
<translation>Tout ce qui y ressemble</translation>
</message>
<message>
<source>Outline (Tab)</source>
<translation>Contour (Tab)</translation>
</message>
<message>
<source>Simplify</source>
<translation>Simplifier</translation>
</message>
<message>
<source>Right angles</source>
<translation>Angles droits</translation>
</message>
<message>
<source>Examples</source>
<translation>Exemples</translation>
</message>
<message>
<source>Keep all</source>
<translation>Tout garder</translation>
</message>
<message>
<source>Yes (Y)</source>
<translation>Oui (Y)</translation>
</message>
<message>
<source>No (N)</source>
<translation>Non (N)</translation>
</message>
<message>
<source>Review</source>
<translation>Relecture</translation>
</message>
<message>
<source>Server</source>
<translation>Serveur</translation>
</message>
<message>
<source>empty: a server of your own</source>
<translation>vide : un serveur à vous</translation>
</message>
<message>
<source>Address</source>
<translation>Adresse</translation>
</message>
<message>
<source>Token</source>
<translation>Jeton</translation>
</message>
<message>
<source>found by itself</source>
<translation>trouvé automatiquement</translation>
</message>
<message>
<source>Program</source>
<translation>Programme</translation>
</message>
<message>
<source>folder of wheels, without a network</source>
<translation>dossier de wheels, sans réseau</translation>
</message>
<message>
<source>Wheels</source>
<translation>Wheels</translation>
</message>
<message>
<source>Installing into an environment of its own…</source>
<translation>Installation dans un environnement à part…</translation>
</message>
<message>
<source>The report is in the clipboard.</source>
<translation>Le rapport est dans le presse-papiers.</translation>
</message>
<message>
<source>Waiting for the server; your clicks are kept.</source>
<translation>En attente du serveur ; vos clics sont gardés.</translation>
</message>
<message>
<source>Asking the model…</source>
<translation>Le modèle est interrogé…</translation>
</message>
<message>
<source>Left click: this too. Right click: not this.</source>
<translation>Clic gauche : ceci aussi. Clic droit : pas ceci.</translation>
</message>
<message>
<source>Nothing is outlined: click on the thing.</source>
<translation>Rien n’est délimité : cliquez sur l’objet.</translation>
</message>
<message>
<source>Starting…</source>
<translation>Démarrage…</translation>
</message>
<message>
<source>Not connected.</source>
<translation>Non connecté.</translation>
</message>
<message>
<source>New…</source>
<translation>Nouveau…</translation>
</message>
<message>
<source>A new GeoPackage for the polygons</source>
<translation>Un nouveau GeoPackage pour les polygones</translation>
</message>
<message>
<source>Fields…</source>
<translation>Champs…</translation>
</message>
<message>
<source>Which field takes what</source>
<translation>Quel champ reçoit quoi</translation>
</message>
<message>
<source>Bands and stretch as displayed</source>
<translation>Bandes et étirement comme affichés</translation>
</message>
<message>
<source>Save the layer after every object</source>
<translation>Enregistrer la couche après chaque objet</translation>
</message>
<message>
<source>Click on the map</source>
<translation>Cliquer sur la carte</translation>
</message>
<message>
<source>Preview under the mouse</source>
<translation>Aperçu sous la souris</translation>
</message>
<message>
<source>Like this</source>
<translation>Comme ceci</translation>
</message>
<message>
<source>Not like this</source>
<translation>Pas comme ceci</translation>
</message>
<message>
<source>Find the rest (F)</source>
<translation>Trouver le reste (F)</translation>
</message>
<message>
<source>Least certain</source>
<translation>Le moins sûr</translation>
</message>
<message>
<source>Approve</source>
<translation>Approuver</translation>
</message>
<message>
<source>Reject</source>
<translation>Rejeter</translation>
</message>
<message>
<source>Connect</source>
<translation>Connecter</translation>
</message>
<message>
<source>Install</source>
<translation>Installer</translation>
</message>
<message>
<source>Diagnostics report</source>
<translation>Rapport de diagnostic</translation>
</message>
<message>
<source>TerraClick is installed.</source>
<translation>TerraClick est installé.</translation>
</message>
<message>
<source>{} · certainty {} %</source>
<translation>{} · certitude {} %</translation>
</message>
<message>
<source>of your own</source>
<translation>le vôtre</translation>
</message>
<message>
<source>Fields of {}</source>
<translation>Champs de {}</translation>
</message>
<message>
<source>Keep (Enter)</source>
<translation>Garder (Entrée)</translation>
</message>
<message>
<source>Give up (Esc)</source>
<translation>Abandonner (Échap)</translation>
</message>
<message>
<source>Undo (Ctrl+Z)</source>
<translation>Annuler (Ctrl+Z)</translation>
</message>
<message>
<source>Redo (Ctrl+Y)</source>
<translation>Rétablir (Ctrl+Y)</translation>
</message>
<message>
<source>Correct selected (R)</source>
<translation>Corriger la sélection (R)</translation>
</message>
<message>
<source>{} proposals: keep this one?</source>
<translation>{} propositions : garder celle-ci ?</translation>
</message>
<message>
<source>Version {}, model {}, {}</source>
<translation>Version {}, modèle {}, {}</translation>
</message>
<message>
<source>Outline things at points</source>
<translation>Délimiter des objets à des points</translation>
</message>
<message>
<source>Every point is a click on the image. Points with the same value of the object field belong to one thing; without that field each point is a thing of its own. A point whose include field is 0 or false excludes.</source>
<translation>Chaque point est un clic sur l’image. Les points de même valeur dans le champ d’objet forment un seul objet ; sans ce champ, chaque point est un objet. Un point dont le champ d’inclusion est 0 ou faux exclut.</translation>
</message>
<message>
<source>Class map</source>
<translation>Carte de classes</translation>
</message>
<message>
<source>Names every pixel of an image, or of an extent of it, with a map model of TerraClick (`terraclick models`).</source>
<translation>Nomme chaque pixel d’une image, ou d’une emprise, avec un modèle de carte de TerraClick (`terraclick models`).</translation>
</message>
<message>
<source>Replay a session</source>
<translation>Rejouer une session</translation>
</message>
<message>
<source>Answers the clicks of a TerraClick session again and measures how good they were (NoC, IoU).</source>
<translation>Répond de nouveau aux clics d’une session TerraClick et mesure leur qualité (NoC, IoU).</translation>
</message>
<message>
<source>Export a session</source>
<translation>Exporter une session</translation>
</message>
<message>
<source>Writes the objects of a TerraClick session for other programs, all images together.</source>
<translation>Écrit les objets d’une session TerraClick pour d’autres programmes, toutes images confondues.</translation>
</message>
<message>
<source>Points</source>
<translation>Points</translation>
</message>
<message>
<source>Field that tells things apart</source>
<translation>Champ qui distingue les objets</translation>
</message>
<message>
<source>Field that says include or not</source>
<translation>Champ qui inclut ou exclut</translation>
</message>
<message>
<source>Class</source>
<translation>Classe</translation>
</message>
<message>
<source>An image and points are needed.</source>
<translation>Une image et des points sont nécessaires.</translation>
</message>
<message>
<source>Map model: a name, or the folder of your own</source>
<translation>Modèle de carte : un nom, ou le dossier du vôtre</translation>
</message>
<message>
<source>Extent</source>
<translation>Emprise</translation>
</message>
<message>
<source>An image file is needed.</source>
<translation>Un fichier image est nécessaire.</translation>
</message>
<message>
<source>Session</source>
<translation>Session</translation>
</message>
<message>
<source>Model</source>
<translation>Modèle</translation>
</message>
<message>
<source>Figures</source>
<translation>Chiffres</translation>
</message>
<message>
<source>Objects</source>
<translation>Objets</translation>
</message>
<message>
<source>Mean IoU</source>
<translation>IoU moyenne</translation>
</message>
<message>
<source>Formats</source>
<translation>Formats</translation>
</message>
<message>
<source>Folder</source>
<translation>Dossier</translation>
</message>
<message>
<source>A server elsewhere cannot open files of this machine: leave the address empty.</source>
<translation>Un serveur distant ne peut pas ouvrir les fichiers de cette machine : laissez l’adresse vide.</translation>
</message>
<message>
<source>The layer {} is no image file: use the map tool for online layers.</source>
<translation>La couche {} n’est pas un fichier image : utilisez l’outil de carte pour les couches en ligne.</translation>
</message>
<message>
<source>{}: nothing was outlined.</source>
<translation>{} : rien n’a été délimité.</translation>
</message>
<message>
<source>TerraClick is not installed: press Install in the TerraClick panel, or set its path.</source>
<translation>TerraClick n’est pas installé : appuyez sur Installer dans le panneau TerraClick ou indiquez son chemin.</translation>
</message>
<message>
<source>The TerraClick program cannot be started: check its path in the TerraClick panel.</source>
<translation>Le programme TerraClick ne démarre pas : vérifiez son chemin dans le panneau TerraClick.</translation>
</message>
<message>
<source>Cancelled.</source>
<translation>Annulé.</translation>
</message>
<message>
<source>The TerraClick program failed.</source>
<translation>Le programme TerraClick a échoué.</translation>
</message>
<message>
<source>The TerraClick program answered something else than expected.</source>
<translation>Le programme TerraClick a répondu autre chose que prévu.</translation>
</message>
<message>
<source>The TerraClick server did not start. {}</source>
<translation>Le serveur TerraClick n’a pas démarré. {}</translation>
</message>
<message>
<source>Judge objects</source>
<translation>Juger des objets</translation>
</message>
<message>
<source>Choose a layer for the polygons in the TerraClick panel first.</source>
<translation>Choisissez d’abord une couche de polygones dans le panneau TerraClick.</translation>
</message>
<message>
<source>The layer for the polygons cannot be used any more: choose another one.</source>
<translation>La couche de polygones n’est plus utilisable : choisissez-en une autre.</translation>
</message>
<message>
<source>The outline has no place in the layer's coordinate system.</source>
<translation>Le contour n’a pas de place dans le système de coordonnées de la couche.</translation>
</message>
<message>
<source>The layer {} holds no polygons: choose another one.</source>
<translation>La couche {} ne contient pas de polygones : choisissez-en une autre.</translation>
</message>
<message>
<source>The layer {} holds lines, and clicks make areas: choose another one.</source>
<translation>La couche {} contient des lignes et les clics donnent des surfaces : choisissez-en une autre.</translation>
</message>
<message>
<source>The layer {} holds points, and clicks make areas: choose another one.</source>
<translation>La couche {} contient des points et les clics donnent des surfaces : choisissez-en une autre.</translation>
</message>
<message>
<source>This object is a line or a point: select an area, for clicks know areas alone.</source>
<translation>Cet objet est une ligne ou un point : sélectionnez une surface, car les clics ne connaissent que les surfaces.</translation>
</message>
<message>
<source>The file of the layer {} is gone: choose another one.</source>
<translation>Le fichier de la couche {} n’est plus là : choisissez-en une autre.</translation>
</message>
<message>
<source>The layer {} is read-only: choose another one.</source>
<translation>La couche {} est en lecture seule : choisissez-en une autre.</translation>
</message>
<message>
<source>The layer {} cannot be edited now: is it locked by another program?</source>
<translation>La couche {} n’est pas modifiable maintenant : un autre programme la bloque-t-il ?</translation>
</message>
<message>
<source>The layer {} did not take the polygon.</source>
<translation>La couche {} n’a pas accepté le polygone.</translation>
</message>
<message>
<source>The layer {} could not be saved; its changes stay in QGIS. {}</source>
<translation>La couche {} n’a pas pu être enregistrée ; ses modifications restent dans QGIS. {}</translation>
</message>
<message>
<source>The file {} cannot be written: {}</source>
<translation>Le fichier {} ne peut pas être écrit : {}</translation>
</message>
<message>
<source>The TerraClick server did not answer within {} s.</source>
<translation>Le serveur TerraClick n’a pas répondu en {} s.</translation>
</message>
<message>
<source>No Python {} or newer was found: install one, then press Install again.</source>
<translation>Aucun Python {} ou plus récent trouvé : installez-en un, puis appuyez de nouveau sur Installer.</translation>
</message>
<message>
<source>The folder of wheel files {} does not exist.</source>
<translation>Le dossier de wheels {} n’existe pas.</translation>
</message>
<message>
<source>Python cannot be started: {}</source>
<translation>Python ne démarre pas : {}</translation>
</message>
<message>
<source>The installation failed: {}</source>
<translation>L’installation a échoué : {}</translation>
</message>
<message>
<source>The TerraClick server has stopped. {}</source>
<translation>Le serveur TerraClick s’est arrêté. {}</translation>
</message>
<message>
<source>Choose an image layer in the TerraClick panel first.</source>
<translation>Choisissez d’abord une couche image dans le panneau TerraClick.</translation>
</message>
<message>
<source>The layer {} shows no image: choose a raster layer.</source>
<translation>La couche {} ne montre pas d’image : choisissez une couche raster.</translation>
</message>
<message>
<source>Cancel</source>
<translation>Annuler</translation>
</message>
<message>
<source>QGIS does not trust the certificate of the package index; add its authority to QGIS</source>
<translation>QGIS ne fait pas confiance au certificat de l'index des paquets ; ajouter son autorité dans QGIS</translation>
</message>
<message>
<source>The installation was cancelled.</source>
<translation>L'installation a été annulée.</translation>
</message>
<message>
<source>The proxy of QGIS is a SOCKS proxy, which pip cannot use: give a folder of wheels instead.</source>
<translation>Le proxy de QGIS est un proxy SOCKS, que pip ne peut pas utiliser : indiquer plutôt un dossier de fichiers wheel.</translation>
</message>
<message>
<source>its Python cannot make environments; on Debian and Ubuntu, install python3-venv</source>
<translation>le Python trouvé ne peut pas créer d'environnement ; sous Debian et Ubuntu, installer python3-venv</translation>
</message>
<message>
<source>the proxy refuses; check the proxy in QGIS's options</source>
<translation>le proxy refuse ; vérifier le proxy dans les options de QGIS</translation>
</message>
<message>
<source> days</source>
<translation> jours</translation>
</message>
<message>
<source>From the next start of the server on; the longest unused go first.</source>
<translation>À partir du prochain démarrage du serveur ; les moins récemment utilisés partent d'abord.</translation>
</message>
<message>
<source>Keep sent pixels</source>
<translation>Pixels envoyés conservés</translation>
</message>
<message>
<source>The token lies in QGIS's settings as plain text; with a master password in QGIS it is encrypted.</source>
<translation>Le jeton est en clair dans les paramètres de QGIS ; avec un mot de passe principal défini dans QGIS, il est chiffré.</translation>
</message>
<message>
<source>The outline lies within other objects, and this project avoids overlaps: nothing of it is left.</source>
<translation>Le contour se trouve à l'intérieur d'autres objets et ce projet évite les recouvrements : il n'en reste rien à conserver.</translation>
</message>
<message>
<source>Kept as a counter-example of {}.</source>
<translation>Conservé comme contre-exemple de {}.</translation>
</message>
<message>
<source>As needed</source>
<translation>Selon le besoin</translation>
</message>
<message>
<source>Simplify (m); empty: as needed</source>
<translation>Simplifier (m) ; vide : selon le besoin</translation>
</message>
</context>
</TS>
