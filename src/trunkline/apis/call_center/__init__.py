"""The Call Center REST API 1.3: resources, their declarations, and the processing of a request.

``declaration`` has the types by which resources are declared, ``input_values`` checks what clients send, ``request_input``
reads query, body and key, ``processing`` runs the stages of a request, ``endpoint`` is the HTTP endpoint, ``openapi`` makes
the description. One module per resource.
"""
