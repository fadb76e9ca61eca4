"""What extends JMAP for Mail, a module or more for each further RFC."""
