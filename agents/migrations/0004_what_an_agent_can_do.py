import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0003_timeline'),
    ]

    operations = [
        migrations.AddField(
            model_name='agent',
            name='abilities',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), blank=True, default=list, help_text='Commands it knows; empty: the first ones.', size=None),
        ),
    ]
