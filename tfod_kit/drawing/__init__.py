"""Drawing of annotations on images, of charts, and of HTML pages."""
