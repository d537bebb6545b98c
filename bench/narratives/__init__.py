"""How well are written accounts read (`scoring`), and how does the tagger learn to read them (`training`)?"""
